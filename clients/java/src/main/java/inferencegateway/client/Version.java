package inferencegateway.client;

/** Version of this client, which is that of the gateway it was made with. */
public final class Version {
  public static final String VERSION = "0.1.0";

  private Version() {}
}
