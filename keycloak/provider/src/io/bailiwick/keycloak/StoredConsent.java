package io.bailiwick.keycloak;

import java.util.LinkedHashSet;
import java.util.Set;
import java.util.stream.Collectors;
import org.keycloak.authentication.RequiredActionContext;
import org.keycloak.events.Details;
import org.keycloak.events.EventType;
import org.keycloak.models.ClientModel;
import org.keycloak.models.ClientScopeModel;
import org.keycloak.models.UserConsentModel;
import org.keycloak.services.managers.UserConsentManager;

/** The consent that Keycloak keeps: shown and revoked in the account page, asked at every refresh. */
final class StoredConsent {

    /** What was on the page and is not ticked any more: older tokens still carry it until they expire. */
    static final String WITHDRAWN = "withdrawn_scope";

    private StoredConsent() {}

    /**
     * What was on the page becomes what is ticked; what was not on the page stays as it was. A second installation of
     * the same client that asks for less must not take away what the first was given.
     */
    static void replace(RequiredActionContext context, ScopeRequest request, Set<String> ticked) {
        ClientModel client = context.getAuthenticationSession().getClient();
        UserConsentModel before = request.stored();
        UserConsentModel now = new UserConsentModel(client);
        Set<String> withdrawn = new LinkedHashSet<>();
        Set<String> offered = request.offeredNames();

        if (client.isDisplayOnConsentScreen()) now.addGrantedClientScope(client);
        if (before != null) {
            for (ClientScopeModel scope : before.getGrantedClientScopes()) {
                if (!offered.contains(scope.getName())) now.addGrantedClientScope(scope);
                else if (!ticked.contains(scope.getName())) withdrawn.add(scope.getName());
            }
        }
        request.offered().stream()
                .filter(scope -> ticked.contains(scope.getName()))
                .forEach(now::addGrantedClientScope);

        if (before == null) UserConsentManager.addConsent(context.getSession(), context.getRealm(), context.getUser(), now);
        else UserConsentManager.updateConsent(context.getSession(), context.getRealm(), context.getUser(), now);

        // The same events and details as Keycloak's account page writes for a consent.
        var event = context.getEvent()
                .clone()
                .event(before == null ? EventType.GRANT_CONSENT : EventType.UPDATE_CONSENT)
                .detail(Details.GRANTED_CLIENT, client.getClientId())
                .detail(
                        Details.SCOPE,
                        now.getGrantedClientScopes().stream()
                                .map(ClientScopeModel::getName)
                                .sorted()
                                .collect(Collectors.joining(" ")));
        if (!withdrawn.isEmpty()) event.detail(WITHDRAWN, String.join(" ", withdrawn));
        event.success();
    }
}
