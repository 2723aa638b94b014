package io.bailiwick.keycloak.agents;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.keycloak.OAuthErrorException;
import org.keycloak.models.ClientModel;
import org.keycloak.models.ClientScopeModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.protocol.oauth2.cimd.clientpolicy.context.CimdClientRegisterContext;
import org.keycloak.protocol.oauth2.cimd.clientpolicy.context.CimdClientUpdateContext;
import org.keycloak.representations.idm.ClientPolicyExecutorConfigurationRepresentation;
import org.keycloak.representations.idm.ClientRepresentation;
import org.keycloak.services.clientpolicy.ClientPolicyContext;
import org.keycloak.services.clientpolicy.ClientPolicyEvent;
import org.keycloak.services.clientpolicy.ClientPolicyException;
import org.keycloak.services.clientpolicy.context.AdminClientRegisterContext;
import org.keycloak.services.clientpolicy.context.AdminClientUpdateContext;
import org.keycloak.services.clientpolicy.context.ClientCRUDContext;
import org.keycloak.services.clientpolicy.executor.ClientPolicyExecutorProvider;

/**
 * What an agent may be, however it became a client: by registering itself or by the document at its client id.
 *
 * Keycloak has rules of its own for the first way; for the second most of them do not run, or refuse everything. So
 * what must hold for both is here, once. What an operator makes over the admin interface is not an agent.
 */
final class AgentRules implements ClientPolicyExecutorProvider<ClientPolicyExecutorConfigurationRepresentation> {

    private static final long MOST_CLIENTS = 10_000;
    private static final int MOST_REDIRECTS = 20;
    private static final int LONGEST_ADDRESS = 2000;
    private static final int LONGEST_NAME = 200;

    /** Nothing in an address may be read in two ways: no user part, fragment, wildcard, backslash, space or control. */
    private static final String TAIL = "(/[^\\s\\p{Cntrl}#*\\\\]*)?";
    private static final List<Pattern> REDIRECTS = Stream.of(
                    // Names only, in ASCII: an address in digits belongs to nobody whom a person could recognize.
                    "https://([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]([a-z0-9-]*[a-z0-9])(:\\d{1,5})?" + TAIL,
                    // The agent's own computer (RFC 8252 §7.3). Nothing leaves it, so there is no TLS to ask for.
                    "http://(127\\.0\\.0\\.1|\\[::1\\]|localhost)(:\\d{1,5})?" + TAIL,
                    // An app on the agent's computer (RFC 8252 §7.1); not what a browser itself would run or read.
                    "(?!(https?|javascript|data|vbscript|file|filesystem|blob|about|ftp|ws|wss|view-source|mailto|tel|sms|intent|chrome|resource|jar):)"
                            + "[a-z][a-z0-9+.-]+:/{0,3}[^\\s\\p{Cntrl}#*\\\\@]+")
            .map(Pattern::compile)
            .toList();

    /**
     * Addresses that Keycloak would call by itself or send a browser to, and other signatures than the realm's, for which Keycloak would make
     * keys of a kind that we do not have. An agent needs none of them; as RFC 7591 allows, they are left out.
     */
    private static final Set<String> UNWANTED = Set.of(
            "id.token.signed.response.alg",
            "user.info.response.signature.alg",
            "authorization.signed.response.alg",
            "access.token.signed.response.alg",
            "backchannel.logout.url",
            "frontchannel.logout.url",
            // After a sign-out too, a browser goes to a redirect address that was checked; without this there are no others.
            "post.logout.redirect.uris",
            "request.uris",
            "ciba.backchannel.client.notification.endpoint");

    private final KeycloakSession session;

    AgentRules(KeycloakSession session) {
        this.session = session;
    }

    @Override
    public String getProviderId() {
        return AgentRulesFactory.ID;
    }

    @Override
    public Class<ClientPolicyExecutorConfigurationRepresentation> getExecutorConfigurationClass() {
        return ClientPolicyExecutorConfigurationRepresentation.class;
    }

    @Override
    public void executeOnEvent(ClientPolicyContext context) throws ClientPolicyException {
        switch (context.getEvent()) {
            case REGISTER, UPDATE -> {
                if (context instanceof AdminClientRegisterContext || context instanceof AdminClientUpdateContext) return;
                if (!(context instanceof ClientCRUDContext change)) throw refusal("unknown kind of registration");
                if (context.getEvent() == ClientPolicyEvent.REGISTER) checkRoom();
                ClientRepresentation client = change.getProposedClientRepresentation();
                check(client);
                settle(client);
                // A document is written once for every server there is; a registration is written for ours.
                boolean isDocument = context instanceof CimdClientRegisterContext || context instanceof CimdClientUpdateContext;
                client.setOptionalClientScopes(offered(client.getOptionalClientScopes(), isDocument));
            }
            // Nobody but our own services gets a token without a person; nobody at all gets one for a password or a token.
            case SERVICE_ACCOUNT_TOKEN_REQUEST -> {
                if (!isService(session.getContext().getClient())) throw refusal("grant type client_credentials is not offered");
            }
            case RESOURCE_OWNER_PASSWORD_CREDENTIALS_REQUEST,
                    TOKEN_EXCHANGE_REQUEST,
                    JWT_AUTHORIZATION_GRANT,
                    DEVICE_AUTHORIZATION_REQUEST,
                    DEVICE_TOKEN_REQUEST,
                    BACKCHANNEL_AUTHENTICATION_REQUEST,
                    BACKCHANNEL_TOKEN_REQUEST -> throw refusal("this grant type is not offered");
            default -> {}
        }
    }

    /** Bounds what a flood costs us. High, because a low number would let a flood shut the door on everybody else. */
    private void checkRoom() throws ClientPolicyException {
        if (session.clients().getClientsCount(session.getContext().getRealm()) >= MOST_CLIENTS) {
            throw refusal("there are too many clients; try again later");
        }
    }

    private static void check(ClientRepresentation client) throws ClientPolicyException {
        // A token without a person behind it could carry no scope anyway; better it is said at once.
        if (isTrue(client.isServiceAccountsEnabled())) throw refusal("grant type client_credentials is not offered");
        if (isTrue(client.isDirectAccessGrantsEnabled())) throw refusal("grant type password is not offered");
        if (isTrue(client.isImplicitFlowEnabled())) throw refusal("grant type implicit is not offered");
        if (Boolean.FALSE.equals(client.isStandardFlowEnabled())) {
            throw refusal("only grant type authorization_code is offered, with refresh_token");
        }
        if (client.getName() != null && client.getName().length() > LONGEST_NAME) throw refusal("client_name is too long");
        List<String> redirects = client.getRedirectUris();
        if (redirects == null || redirects.isEmpty()) throw refusal("redirect_uris is missing");
        if (redirects.size() > MOST_REDIRECTS) throw refusal("redirect_uris has more than " + MOST_REDIRECTS + " entries");
        for (String redirect : redirects) {
            if (!isRedirect(redirect)) throw refusal("redirect_uris must be https, http on this computer, or an app's own scheme, without user part, wildcard and fragment");
        }
    }

    private void settle(ClientRepresentation client) {
        client.setConsentRequired(true);
        client.setFullScopeAllowed(false);
        client.setWebOrigins(List.of());
        // No claims of its own choice.
        client.setProtocolMappers(null);
        Map<String, String> attributes = client.getAttributes() == null ? new HashMap<>() : new HashMap<>(client.getAttributes());
        attributes.keySet().removeAll(UNWANTED);
        attributes.put("pkce.code.challenge.method", "S256");
        client.setAttributes(attributes);
        RealmModel realm = session.getContext().getRealm();
        // Who names a scope would lose these two, and with them the subject's and the sign-in's claims.
        client.setDefaultClientScopes(names(realm.getDefaultClientScopesStream(true)));
    }

    /** Of the named scopes those that agents may have; all of them when none is named. */
    private List<String> offered(List<String> named, boolean isLenient) throws ClientPolicyException {
        List<String> known = names(session.getContext().getRealm().getDefaultClientScopesStream(false));
        // Said outright: a client for which one of its two lists is set gets from Keycloak no other one.
        if (named == null) return known;
        List<String> unknown = named.stream()
                .filter(scope -> !scope.isBlank() && !scope.equals("openid") && !known.contains(scope))
                .toList();
        if (!unknown.isEmpty() && !isLenient) throw refusal("scope names what is not offered");
        return named.stream().filter(known::contains).collect(Collectors.toList());
    }

    static boolean isRedirect(String address) {
        return address != null
                && address.length() <= LONGEST_ADDRESS
                && REDIRECTS.stream().anyMatch(pattern -> pattern.matcher(address).matches());
    }

    private static List<String> names(Stream<ClientScopeModel> scopes) {
        return scopes.map(ClientScopeModel::getName).collect(Collectors.toList());
    }

    /** Only the realm file and an operator can set this mark; a registration carries no attributes. */
    private static boolean isService(ClientModel client) {
        return client != null && "service".equals(client.getAttribute("bailiwick.part"));
    }

    private static boolean isTrue(Boolean value) {
        return Boolean.TRUE.equals(value);
    }

    /** The reason stands in the code too: of a refused registration Keycloak's answer holds nothing else. */
    private static ClientPolicyException refusal(String why) {
        return new ClientPolicyException(OAuthErrorException.INVALID_CLIENT_METADATA + ": " + why, why);
    }
}
