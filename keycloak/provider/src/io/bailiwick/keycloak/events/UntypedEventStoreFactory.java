package io.bailiwick.keycloak.events;

import org.keycloak.connections.jpa.JpaConnectionProvider;
import org.keycloak.events.EventStoreProvider;
import org.keycloak.events.jpa.JpaEventStoreProviderFactory;
import org.keycloak.models.KeycloakSession;

/** Takes the place of Keycloak's own store: the same name, and a higher order. */
public final class UntypedEventStoreFactory extends JpaEventStoreProviderFactory {

    @Override
    public EventStoreProvider create(KeycloakSession session) {
        return new UntypedEventStore(session, session.getProvider(JpaConnectionProvider.class).getEntityManager());
    }

    @Override
    public int order() {
        return 1;
    }
}
