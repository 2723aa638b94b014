package io.bailiwick.keycloak;

import jakarta.ws.rs.core.MultivaluedMap;
import jakarta.ws.rs.core.Response;
import java.util.List;
import java.util.Set;
import org.keycloak.authentication.InitiatedActionSupport;
import org.keycloak.authentication.RequiredActionContext;
import org.keycloak.authentication.RequiredActionProvider;

/**
 * The page on which a person ticks what a client may do; in place of Keycloak's own, which is all or nothing.
 *
 * A required action, not a step of the browser flow: Keycloak asks every enabled action before it hands out a code,
 * whichever way the person signed in, and this one comes last, after a first password and a second factor are set up.
 */
public final class ScopeChoice implements RequiredActionProvider {

    private static final System.Logger LOG = System.getLogger(ScopeChoice.class.getName());

    static final String PAGE = "bailiwick-scopes.ftl";
    private static final String FIELD = "scope";

    /** Runs several times in one sign-in, so it must say the same until the person has answered, and nothing after. */
    @Override
    public void evaluateTriggers(RequiredActionContext context) {
        if (!context.getAuthenticationSession().getClient().isConsentRequired()) return;
        ScopeRequest request = ScopeRequest.of(context);
        if (request.needsAnswer()) context.getAuthenticationSession().addRequiredAction(ScopeChoiceFactory.ID);
        else request.reduceTo(request.offeredNames());
    }

    @Override
    public void requiredActionChallenge(RequiredActionContext context) {
        if (!context.getAuthenticationSession().getClient().isConsentRequired()) {
            context.success();
            return;
        }
        ScopeRequest request = ScopeRequest.of(context);
        if (!request.needsAnswer()) {
            request.reduceTo(request.offeredNames());
            context.success();
        } else if (!request.fixed().isEmpty()) {
            // Keycloak adds a client's default scopes to every token, so unticking one would be a lie. Better no code.
            LOG.log(
                    System.Logger.Level.WARNING,
                    "Client {0} has default scopes that a person should tick ({1}): make them optional. Refused.",
                    context.getAuthenticationSession().getClient().getClientId(), String.join(" ", request.fixed()));
            context.failure();
        } else {
            context.challenge(page(context, request, request.preselected(), null));
        }
    }

    @Override
    public void processAction(RequiredActionContext context) {
        MultivaluedMap<String, String> form = context.getHttpRequest().getDecodedFormParameters();
        // Asked anew: a request that no longer needs an answer, or that cannot have one, is settled as on the way in.
        ScopeRequest request = ScopeRequest.of(context);
        if (!context.getAuthenticationSession().getClient().isConsentRequired()
                || !request.needsAnswer()
                || !request.fixed().isEmpty()) {
            requiredActionChallenge(context);
            return;
        }
        if (!form.containsKey("accept") || request.nothingIsTheirs()) {
            context.failure();
            return;
        }
        Set<String> ticked = request.tickedOf(form.getOrDefault(FIELD, List.of()));
        if (request.lacksTick(ticked)) {
            context.challenge(page(context, request, ticked, "scopesNothingTicked"));
            return;
        }
        // The stored consent first: if we die between the two, no code was given and the page is simply not asked again.
        StoredConsent.replace(context, request, ticked);
        request.reduceTo(ticked);
        request.settlePrompt();
        context.success();
    }

    private static Response page(RequiredActionContext context, ScopeRequest request, Set<String> ticked, String error) {
        var form = context.form()
                .setAttribute("asking", AskingClient.of(context.getAuthenticationSession()))
                .setAttribute("person", context.getUser().getUsername())
                .setAttribute("groups", TickGroup.of(request.offered(), ticked))
                .setAttribute("nothingIsTheirs", request.nothingIsTheirs());
        if (error != null) form.setError(error);
        return form.createForm(PAGE);
    }

    /**
     * "Supported" although no client is meant to ask for it: Keycloak skips an action that a client names in
     * `kc_action` and that says "not supported", also when it is due for another reason.
     */
    @Override
    public InitiatedActionSupport initiatedActionSupport() {
        return InitiatedActionSupport.SUPPORTED;
    }

    @Override
    public void close() {}
}
