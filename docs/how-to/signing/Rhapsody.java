import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;

/**
 * Signs an HL7 v2 message for Carebell (hl7v2-sig, profile 1, RS256), in Rhapsody or any Java (11 or later) engine.
 *
 * <p>In a custom filter, the last one before the output communication point: load the key once with {@link #key}, call
 * {@link #sign} with the message's bytes and make its result the message's body. The communication point must not re-encode.
 *
 * <p>From a shell, which is how the tests run it: {@code java Rhapsody.java MESSAGE KEY HEADER > SIGNED}
 */
public final class Rhapsody {
    private static final Base64.Encoder BASE64URL = Base64.getUrlEncoder().withoutPadding();

    private Rhapsody() {}

    /**
     * The message with its ZSG segment.
     *
     * @param header what {@code carebell cert show} prints for the certificate of {@code key}
     */
    public static byte[] sign(byte[] message, PrivateKey key, String header) throws GeneralSecurityException {
        // ISO 8859-1 keeps every byte as one character, so that nothing is decoded or re-encoded here.
        String payload = canonical(new String(message, StandardCharsets.ISO_8859_1)) + "\r";
        byte[] bytes = payload.getBytes(StandardCharsets.ISO_8859_1);
        String protectedHeader = BASE64URL.encodeToString(header.getBytes(StandardCharsets.UTF_8));
        Signature signer = Signature.getInstance("SHA256withRSA");
        signer.initSign(key);
        signer.update((protectedHeader + "." + BASE64URL.encodeToString(bytes)).getBytes(StandardCharsets.US_ASCII));
        String segment = "ZSG|1|" + protectedHeader + ".." + BASE64URL.encodeToString(signer.sign())
                + "|" + bytes.length + "^" + hex(MessageDigest.getInstance("SHA-256").digest(bytes)) + "\r";
        return (payload + segment).getBytes(StandardCharsets.ISO_8859_1);
    }

    /** A PKCS#8 private key in PEM ("BEGIN PRIVATE KEY"), not encrypted. */
    public static PrivateKey key(String pem) throws GeneralSecurityException {
        byte[] der = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", ""));
        return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(der));
    }

    /** One kind of segment end, CR. A line feed beside carriage returns is text and stays. */
    private static String canonical(String content) {
        int end = content.length();
        while (end > 0 && (content.charAt(end - 1) == '\r' || content.charAt(end - 1) == '\n')) {
            end--;
        }
        String body = content.substring(0, end);
        return body.indexOf('\r') < 0 ? body.replace('\n', '\r') : body.replace("\r\n", "\r");
    }

    private static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte each : bytes) {
            text.append(String.format("%02x", each));
        }
        return text.toString();
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 3) {
            System.err.println("usage: java Rhapsody.java MESSAGE KEY HEADER > SIGNED");
            System.exit(2);
        }
        PrivateKey key = key(Files.readString(Path.of(arguments[1]), StandardCharsets.US_ASCII));
        System.out.write(sign(Files.readAllBytes(Path.of(arguments[0])), key, arguments[2]));
        System.out.flush();
    }
}
