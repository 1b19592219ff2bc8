// HAPI's own MLLP server as its documentation shows it: parse, validate by default rules, generateACK. Keeps nothing.
// Run from its source: java -cp "$HAPI_JARS/*" HapiServer.java (hapi-base, a hapi-structures, slf4j-api, commons-lang3).
import ca.uhn.hl7v2.DefaultHapiContext;
import ca.uhn.hl7v2.HL7Exception;
import ca.uhn.hl7v2.app.HL7Service;
import ca.uhn.hl7v2.model.Message;
import ca.uhn.hl7v2.protocol.ReceivingApplication;
import ca.uhn.hl7v2.protocol.ReceivingApplicationException;
import java.io.IOException;
import java.net.ServerSocket;
import java.util.Map;

public class HapiServer {
  public static void main(String[] words) throws Exception {
    int port = freePort();
    HL7Service server = new DefaultHapiContext().newServer(port, false);
    server.registerApplication(new Acknowledging());
    server.startAndWait();
    System.out.println("ready " + port);
  }

  private static int freePort() throws IOException {
    try (ServerSocket probe = new ServerSocket(0)) {
      return probe.getLocalPort();
    }
  }

  private static final class Acknowledging implements ReceivingApplication<Message> {
    @Override
    public boolean canProcess(Message message) {
      return true;
    }

    @Override
    public Message processMessage(Message message, Map<String, Object> metadata)
        throws ReceivingApplicationException, HL7Exception {
      try {
        return message.generateACK();
      } catch (IOException failed) {
        throw new HL7Exception(failed);
      }
    }
  }
}
