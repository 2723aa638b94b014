package io.bailiwick.keycloak;

import org.keycloak.Config;
import org.keycloak.authentication.RequiredActionFactory;
import org.keycloak.authentication.RequiredActionProvider;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.KeycloakSessionFactory;

/** Registers the page on which a person ticks what a client may do. */
public final class ScopeChoiceFactory implements RequiredActionFactory {

    /** The name under which the realm lists this action. */
    public static final String ID = "bailiwick-scope-choice";

    private static final RequiredActionProvider ACTION = new ScopeChoice();

    @Override
    public String getId() {
        return ID;
    }

    @Override
    public String getDisplayText() {
        return "Choose what an app may do";
    }

    @Override
    public RequiredActionProvider create(KeycloakSession session) {
        return ACTION;
    }

    @Override
    public void init(Config.Scope config) {}

    @Override
    public void postInit(KeycloakSessionFactory factory) {}

    @Override
    public void close() {}
}
