package io.bailiwick.keycloak;

import org.keycloak.models.ClientScopeModel;

/** One line of the page: a scope, its text in plain words, and whether it is ticked when the page opens. */
public record Tick(String name, String title, String text, boolean ticked) {

    /** What ticking a scope amounts to; the order is the order of the page. */
    public enum Kind {
        LOOK,
        CHANGE,
        DELETE,
        STAY
    }

    static Tick of(ClientScopeModel scope, boolean ticked) {
        String title = scope.getAttribute("bailiwick.domain.name");
        return new Tick(scope.getName(), title == null ? scope.getName() : title, scope.getConsentScreenText(), ticked);
    }

    /** The realm says it of each scope. Of one that is not marked we take it that it changes something. */
    static Kind kind(ClientScopeModel scope) {
        String right = scope.getAttribute("bailiwick.right");
        if (right == null) return Kind.CHANGE;
        return switch (right) {
            case "read" -> Kind.LOOK;
            case "delete" -> Kind.DELETE;
            case "offline" -> Kind.STAY;
            default -> Kind.CHANGE;
        };
    }
}
