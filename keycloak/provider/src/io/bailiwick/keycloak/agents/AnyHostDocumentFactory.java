package io.bailiwick.keycloak.agents;

import org.keycloak.models.KeycloakSession;
import org.keycloak.protocol.oauth2.cimd.clientpolicy.executor.ClientIdMetadataDocumentExecutor;
import org.keycloak.protocol.oauth2.cimd.clientpolicy.executor.ClientIdMetadataDocumentExecutorFactory;
import org.keycloak.services.clientpolicy.executor.ClientPolicyExecutorProvider;

/** Registers the reading of metadata documents from any host; the settings are Keycloak's. */
public final class AnyHostDocumentFactory extends ClientIdMetadataDocumentExecutorFactory {

    static final String ID = "bailiwick-metadata-document";

    @Override
    public String getId() {
        return ID;
    }

    @Override
    public ClientPolicyExecutorProvider<ClientIdMetadataDocumentExecutor.Configuration> create(KeycloakSession session) {
        return new AnyHostDocument(session, providerConfig);
    }
}
