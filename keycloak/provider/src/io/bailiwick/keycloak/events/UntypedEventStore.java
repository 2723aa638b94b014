package io.bailiwick.keycloak.events;

import jakarta.persistence.EntityManager;
import java.util.Set;
import org.keycloak.events.Details;
import org.keycloak.events.Event;
import org.keycloak.events.jpa.JpaEventStoreProvider;
import org.keycloak.models.KeycloakSession;

/**
 * Keycloak's table of events, without what a person typed when something failed: a password that lands in the field for
 * the user name would else lie there readable for thirty days, and in every backup.
 *
 * A list of what is kept, so that a detail that a later Keycloak adds stays out until somebody has looked at it.
 */
final class UntypedEventStore extends JpaEventStoreProvider {

    private static final Set<String> KEPT_OF_ERRORS = Set.of(
            Details.AUTH_METHOD,
            Details.AUTH_TYPE,
            Details.CLIENT_AUTH_METHOD,
            Details.CLIENT_POLICY_ERROR,
            Details.CLIENT_POLICY_ERROR_DETAIL,
            Details.CLIENT_REGISTRATION_POLICY,
            Details.CODE_ID,
            Details.CONSENT,
            Details.CREDENTIAL_TYPE,
            Details.CUSTOM_REQUIRED_ACTION,
            Details.GRANT_TYPE,
            Details.REASON,
            Details.REDIRECT_URI,
            Details.REFRESH_TOKEN_ID,
            Details.REFRESH_TOKEN_SUB,
            Details.REFRESH_TOKEN_TYPE,
            Details.RESPONSE_MODE,
            Details.RESPONSE_TYPE,
            Details.REVOKED_CLIENT,
            Details.SCOPE,
            "withdrawn_scope");

    UntypedEventStore(KeycloakSession session, EntityManager entities) {
        super(session, entities);
    }

    @Override
    public void onEvent(Event event) {
        super.onEvent(isError(event) && event.getDetails() != null ? withoutTyped(event) : event);
    }

    private static boolean isError(Event event) {
        return event.getError() != null || event.getType().name().endsWith("_ERROR");
    }

    /** A copy: whoever else hears of the event gets it whole. */
    private static Event withoutTyped(Event event) {
        Event copy = event.clone();
        copy.getDetails().keySet().retainAll(KEPT_OF_ERRORS);
        return copy;
    }
}
