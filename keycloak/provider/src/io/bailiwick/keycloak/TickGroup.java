package io.bailiwick.keycloak;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.keycloak.models.ClientScopeModel;

/** The ticks of one kind; `key` names the group's texts and its look in the theme. */
public record TickGroup(String key, List<Tick> ticks) {

    /** Only groups that have something in them, in the order of the kinds. */
    static List<TickGroup> of(List<ClientScopeModel> offered, Set<String> ticked) {
        return Arrays.stream(Tick.Kind.values())
                .map(kind -> new TickGroup(
                        kind.name().toLowerCase(Locale.ROOT),
                        offered.stream()
                                .filter(scope -> Tick.kind(scope) == kind)
                                .map(scope -> Tick.of(scope, ticked.contains(scope.getName())))
                                .toList()))
                .filter(group -> !group.ticks().isEmpty())
                .toList();
    }
}
