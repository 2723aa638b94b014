package io.bailiwick.keycloak.agents;

import org.keycloak.models.KeycloakSession;
import org.keycloak.protocol.oauth2.cimd.clientpolicy.executor.ClientIdMetadataDocumentExecutor;
import org.keycloak.protocol.oauth2.cimd.clientpolicy.executor.ClientIdMetadataDocumentExecutorFactoryProviderConfig;

/**
 * Keycloak's reading of client metadata documents, from any host. Keycloak can only list hosts; an agent that nobody
 * here has heard of must work too. What the list would guard, the fetch into our own network, the egress proxy does.
 */
final class AnyHostDocument extends ClientIdMetadataDocumentExecutor {

    AnyHostDocument(KeycloakSession session, ClientIdMetadataDocumentExecutorFactoryProviderConfig limits) {
        super(session, limits);
    }

    @Override
    public String getProviderId() {
        return AnyHostDocumentFactory.ID;
    }

    @Override
    protected boolean checkTrustedDomain(String host, String pattern) {
        return true;
    }
}
