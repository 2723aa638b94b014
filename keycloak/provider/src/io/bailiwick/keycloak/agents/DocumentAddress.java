package io.bailiwick.keycloak.agents;

import java.util.regex.Pattern;
import org.keycloak.models.ClientModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.protocol.oauth2.cimd.provider.AbstractPersistentClientIdMetadataDocumentProvider;
import org.keycloak.representations.idm.ClientPolicyConditionConfigurationRepresentation;
import org.keycloak.services.clientpolicy.ClientPolicyContext;
import org.keycloak.services.clientpolicy.ClientPolicyVote;
import org.keycloak.services.clientpolicy.condition.AbstractClientPolicyConditionProvider;
import org.keycloak.services.clientpolicy.context.PreAuthorizationRequestContext;

/**
 * True for a sign-in whose client id is the https address of a document. Not for clients of ours whose id happens to be
 * an address, as that of the MCP endpoint is: a document must never come to describe them.
 */
final class DocumentAddress extends AbstractClientPolicyConditionProvider<ClientPolicyConditionConfigurationRepresentation> {

    /**
     * Nothing that the edge would not pass in the account page's path, where such a client is disconnected: what cannot be
     * taken back must not be given. A test holds the two patterns together.
     */
    private static final Pattern READABLE =
            Pattern.compile("https://(?!.*\\.\\.)[A-Za-z0-9.-]+(:[0-9]{1,5})?/[A-Za-z0-9._~:/-]+");

    DocumentAddress(KeycloakSession session) {
        super(session);
    }

    @Override
    public String getProviderId() {
        return DocumentAddressFactory.ID;
    }

    @Override
    public Class<ClientPolicyConditionConfigurationRepresentation> getConditionConfigurationClass() {
        return ClientPolicyConditionConfigurationRepresentation.class;
    }

    @Override
    public ClientPolicyVote applyPolicy(ClientPolicyContext context) {
        if (!(context instanceof PreAuthorizationRequestContext request)) return ClientPolicyVote.ABSTAIN;
        String id = request.getClientId();
        if (id == null || !id.startsWith("https://")) return ClientPolicyVote.NO;
        ClientModel known = session.getContext().getRealm().getClientByClientId(id);
        // Not read, an address that nobody has used yet is the name of no client, and refused as such.
        boolean isDocument = known == null
                ? READABLE.matcher(id).matches()
                : known.getAttribute(AbstractPersistentClientIdMetadataDocumentProvider.CIMD_CACHE_EXPIRY_TIME_IN_SEC) != null;
        return isDocument ? ClientPolicyVote.YES : ClientPolicyVote.NO;
    }
}
