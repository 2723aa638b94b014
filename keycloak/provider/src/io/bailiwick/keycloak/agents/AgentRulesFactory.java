package io.bailiwick.keycloak.agents;

import java.util.List;
import org.keycloak.Config;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.KeycloakSessionFactory;
import org.keycloak.provider.ProviderConfigProperty;
import org.keycloak.services.clientpolicy.executor.ClientPolicyExecutorProvider;
import org.keycloak.services.clientpolicy.executor.ClientPolicyExecutorProviderFactory;

/** Registers the rules for agents under the name by which the realm's client profiles call them. */
public final class AgentRulesFactory implements ClientPolicyExecutorProviderFactory {

    static final String ID = "bailiwick-agent-rules";

    @Override
    public String getId() {
        return ID;
    }

    @Override
    public String getHelpText() {
        return "What an agent that registers itself may be; no settings.";
    }

    @Override
    public List<ProviderConfigProperty> getConfigProperties() {
        return List.of();
    }

    @Override
    public ClientPolicyExecutorProvider<?> create(KeycloakSession session) {
        return new AgentRules(session);
    }

    @Override
    public void init(Config.Scope config) {}

    @Override
    public void postInit(KeycloakSessionFactory factory) {}

    @Override
    public void close() {}
}
