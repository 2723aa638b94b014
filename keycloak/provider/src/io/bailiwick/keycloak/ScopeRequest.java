package io.bailiwick.keycloak;

import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.keycloak.OAuth2Constants;
import org.keycloak.authentication.RequiredActionContext;
import org.keycloak.models.ClientModel;
import org.keycloak.models.ClientScopeModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RoleModel;
import org.keycloak.models.UserConsentModel;
import org.keycloak.models.UserModel;
import org.keycloak.models.utils.RoleUtils;
import org.keycloak.protocol.oidc.OIDCLoginProtocol;
import org.keycloak.protocol.oidc.TokenManager;
import org.keycloak.services.managers.AuthenticationManager;
import org.keycloak.services.managers.UserConsentManager;
import org.keycloak.sessions.AuthenticationSessionModel;

/**
 * What one authorization request asks for, seen as a person may answer it. Reads everything from the authentication
 * session, where Keycloak has already merged query, request object and pushed request; so there is one place to narrow.
 */
final class ScopeRequest {

    private final KeycloakSession session;
    private final AuthenticationSessionModel login;
    private final ClientModel client;
    private final UserConsentModel stored;
    private final List<ClientScopeModel> asked;
    private final List<ClientScopeModel> offered;

    private ScopeRequest(KeycloakSession session, AuthenticationSessionModel login, UserModel person) {
        this.session = session;
        this.login = login;
        this.client = login.getClient();
        this.stored = UserConsentManager.getConsentByClient(session, login.getRealm(), person, client.getId());
        this.asked = scopesToTick(note(), person);
        List<ClientScopeModel> theirs = entitled(asked, person);
        // RFC 6749 §3.3: a request without a scope gets a default that we choose: looking, never changing.
        this.offered = note().isBlank() && asked.isEmpty() ? looking(person) : theirs;
    }

    static ScopeRequest of(RequiredActionContext context) {
        return new ScopeRequest(context.getSession(), context.getAuthenticationSession(), context.getUser());
    }

    /** What the person may tick, in the order of the page. Scopes that are not theirs to give are not among them. */
    List<ClientScopeModel> offered() {
        return offered;
    }

    Set<String> offeredNames() {
        return names(offered);
    }

    /** The consent on record for this person and client, or null. */
    UserConsentModel stored() {
        return stored;
    }

    /** Scopes to tick that the client holds as default scopes, and that Keycloak therefore would add unasked. */
    Set<String> fixed() {
        return client.getClientScopes(true).values().stream()
                .filter(ClientScopeModel::isDisplayOnConsentScreen)
                .map(ClientScopeModel::getName)
                .collect(Collectors.toCollection(LinkedHashSet::new));
    }

    /** The client asked for scopes, and none of them is this person's to give. */
    boolean nothingIsTheirs() {
        return !asked.isEmpty() && offered.isEmpty();
    }

    /** A client met for the first time needs an answer also when it asks for no scope: it would learn who this is. */
    boolean needsAnswer() {
        if (stored == null || promptsForConsent() || nothingIsTheirs() || !fixed().isEmpty()) return true;
        if (client.isDisplayOnConsentScreen() && !stored.isClientScopeGranted(client)) return true;
        return !offered.stream().allMatch(stored::isClientScopeGranted);
    }

    /** Looking, and whatever the same person gave the same client before. */
    Set<String> preselected() {
        return offered.stream()
                .filter(scope -> Tick.kind(scope) == Tick.Kind.LOOK
                        || (stored != null && stored.isClientScopeGranted(scope)))
                .map(ClientScopeModel::getName)
                .collect(Collectors.toCollection(LinkedHashSet::new));
    }

    /** Of what a form says, what was on offer; the rest was not on the page and counts for nothing. */
    Set<String> tickedOf(Collection<String> posted) {
        Set<String> ticked = offeredNames();
        ticked.retainAll(Set.copyOf(posted));
        return ticked;
    }

    /** Staying connected without being allowed anything is no answer, if there was something to allow. */
    boolean lacksTick(Set<String> ticked) {
        Set<String> useful = offered.stream()
                .filter(scope -> Tick.kind(scope) != Tick.Kind.STAY)
                .map(ClientScopeModel::getName)
                .collect(Collectors.toSet());
        return !useful.isEmpty() && ticked.stream().noneMatch(useful::contains);
    }

    /** From here on this request asks for `granted` only. `openid` and whatever else needs no tick stays. */
    void reduceTo(Set<String> granted) {
        Set<String> toTick = names(asked);
        String reduced = Stream.concat(
                        Arrays.stream(note().split(" ")).filter(name -> !name.isBlank() && !toTick.contains(name)),
                        granted.stream())
                .distinct()
                .collect(Collectors.joining(" "));
        if (reduced.isEmpty()) login.removeClientNote(OAuth2Constants.SCOPE);
        else login.setClientNote(OAuth2Constants.SCOPE, reduced);
        AuthenticationManager.setClientScopesInSession(session, login);
    }

    /** `prompt=consent` is answered; left in place it would bring up Keycloak's own page behind ours. */
    void settlePrompt() {
        if (!promptsForConsent()) return;
        String rest = Arrays.stream(prompt().split(" "))
                .filter(value -> !value.equals(OIDCLoginProtocol.PROMPT_VALUE_CONSENT))
                .collect(Collectors.joining(" "));
        if (rest.isBlank()) login.removeClientNote(OIDCLoginProtocol.PROMPT_PARAM);
        else login.setClientNote(OIDCLoginProtocol.PROMPT_PARAM, rest);
    }

    private List<ClientScopeModel> scopesToTick(String scopes, UserModel person) {
        return TokenManager.getRequestedClientScopes(session, scopes, client, person)
                .filter(scope -> !(scope instanceof ClientModel))
                .filter(ClientScopeModel::isDisplayOnConsentScreen)
                .sorted(Comparator.comparing(ScopeRequest::place).thenComparing(ClientScopeModel::getName))
                .toList();
    }

    private List<ClientScopeModel> looking(UserModel person) {
        String all = String.join(" ", client.getClientScopes(false).keySet());
        List<ClientScopeModel> reads = entitled(scopesToTick(all, person), person).stream()
                .filter(scope -> Tick.kind(scope) == Tick.Kind.LOOK)
                .toList();
        // Who left some of them out the first time is not asked at every sign-in.
        List<ClientScopeModel> again = stored == null
                ? List.of()
                : reads.stream().filter(stored::isClientScopeGranted).toList();
        return again.isEmpty() ? reads : again;
    }

    /** The rule by which Keycloak fills tokens: a scope with roles is only for people who have one of them. */
    private static List<ClientScopeModel> entitled(List<ClientScopeModel> scopes, UserModel person) {
        Set<RoleModel> roles = RoleUtils.getDeepUserRoleMappings(person);
        return scopes.stream()
                .filter(scope -> {
                    Set<RoleModel> needed = scope.getScopeMappingsStream().collect(Collectors.toSet());
                    return needed.isEmpty()
                            || RoleUtils.expandCompositeRoles(needed).stream().anyMatch(roles::contains);
                })
                .toList();
    }

    private static Set<String> names(List<ClientScopeModel> scopes) {
        return scopes.stream().map(ClientScopeModel::getName).collect(Collectors.toCollection(LinkedHashSet::new));
    }

    private static int place(ClientScopeModel scope) {
        try {
            return Integer.parseInt(scope.getGuiOrder());
        } catch (NumberFormatException unset) {
            return Integer.MAX_VALUE;
        }
    }

    private boolean promptsForConsent() {
        return List.of(prompt().split(" ")).contains(OIDCLoginProtocol.PROMPT_VALUE_CONSENT);
    }

    private String note() {
        String scope = login.getClientNote(OAuth2Constants.SCOPE);
        return scope == null ? "" : scope;
    }

    private String prompt() {
        String prompt = login.getClientNote(OIDCLoginProtocol.PROMPT_PARAM);
        return prompt == null ? "" : prompt;
    }
}
