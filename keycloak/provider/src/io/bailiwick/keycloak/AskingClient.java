package io.bailiwick.keycloak;

import java.net.IDN;
import java.net.URI;
import java.util.List;
import java.util.Objects;
import org.keycloak.models.ClientModel;
import org.keycloak.sessions.AuthenticationSessionModel;

/**
 * Who asks, as a person can judge it. Clients register themselves: the name is a claim, and only the addresses to
 * which a code can be sent say something true.
 *
 * @param name what the client calls itself, on one line, cut
 * @param publisher host of the client's metadata document, or null when it registered itself
 * @param target where the browser goes with the answer
 * @param others where else this client may have answers sent
 */
public record AskingClient(String name, String publisher, Place target, List<Place> others) {

    private static final int NAME_LENGTH = 60;

    /** @param kind `here` (this computer), `app` (an app on this device) or `web` */
    public record Place(String kind, String address) {}

    static AskingClient of(AuthenticationSessionModel login) {
        ClientModel client = login.getClient();
        Place target = place(login.getRedirectUri());
        List<Place> others = client.getRedirectUris().stream()
                .map(AskingClient::place)
                .filter(Objects::nonNull)
                .filter(place -> !place.equals(target))
                .distinct()
                .sorted((a, b) -> a.address().compareTo(b.address()))
                .toList();
        String name = oneLine(client.getName());
        String id = client.getClientId();
        Place publisher = id.startsWith("https://") ? place(id) : null;
        return new AskingClient(
                name.isEmpty() ? oneLine(id) : name, publisher == null ? null : publisher.address(), target, others);
    }

    private static Place place(String address) {
        try {
            URI uri = URI.create(address);
            if (uri.getScheme() == null) return null;
            if (!uri.getScheme().equals("https") && !uri.getScheme().equals("http")) {
                return new Place("app", uri.getScheme() + ":");
            }
            if (uri.getHost() == null) return null;
            // In ASCII, so that a look-alike letter of another script shows.
            String host = IDN.toASCII(uri.getHost());
            boolean here = host.equals("localhost") || host.startsWith("127.") || host.equals("[::1]");
            return new Place(here ? "here" : "web", host);
        } catch (IllegalArgumentException notAnAddress) {
            return null;
        }
    }

    /** Without line breaks, invisible characters and direction marks, which could rewrite the sentence around it. */
    private static String oneLine(String text) {
        if (text == null) return "";
        String line = text.replaceAll("[\\p{C}\\p{Z}]+", " ").strip();
        if (line.codePointCount(0, line.length()) <= NAME_LENGTH) return line;
        return line.substring(0, line.offsetByCodePoints(0, NAME_LENGTH)) + "…";
    }
}
