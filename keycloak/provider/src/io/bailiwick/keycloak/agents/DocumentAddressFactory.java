package io.bailiwick.keycloak.agents;

import java.util.List;
import org.keycloak.Config;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.KeycloakSessionFactory;
import org.keycloak.provider.ProviderConfigProperty;
import org.keycloak.services.clientpolicy.condition.ClientPolicyConditionProvider;
import org.keycloak.services.clientpolicy.condition.ClientPolicyConditionProviderFactory;

/** Registers the condition "the client id is a document's address"; no settings. */
public final class DocumentAddressFactory implements ClientPolicyConditionProviderFactory {

    static final String ID = "bailiwick-document-address";

    @Override
    public String getId() {
        return ID;
    }

    @Override
    public String getHelpText() {
        return "True when the client id is the address of a client metadata document on any host.";
    }

    @Override
    public List<ProviderConfigProperty> getConfigProperties() {
        return List.of();
    }

    @Override
    public ClientPolicyConditionProvider<?> create(KeycloakSession session) {
        return new DocumentAddress(session);
    }

    @Override
    public void init(Config.Scope config) {}

    @Override
    public void postInit(KeycloakSessionFactory factory) {}

    @Override
    public void close() {}
}
