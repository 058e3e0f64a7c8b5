package inferencegateway.client;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/** Channels to the gateway as it expects them of every caller. */
public final class Connection {
  private static final Pattern LOOPBACK = Pattern.compile("(localhost|127(\\.\\d+){3}|\\[::1])(:\\d+)?");

  private Connection() {}

  /**
   * A channel to {@code target}, such as {@code dns:///gateway.example:50051}: balanced, kept alive, with a deadline
   * on every call and retries of UNAVAILABLE alone. Give tokens to each stub: {@code
   * InferenceGrpc.newBlockingStub(channel).withCallCredentials(tokens)}.
   *
   * <p>A loopback target is reached in plain text, every other one with TLS and the roots of Java.
   */
  public static ManagedChannel open(String target) {
    return builder(target).build();
  }

  /** The same before it is built, for what is special about one caller: other roots, a proxy, no retries. */
  public static ManagedChannelBuilder<?> builder(String target) {
    NettyChannelBuilder builder =
        NettyChannelBuilder.forTarget(target)
            .defaultServiceConfig(serviceConfig())
            .enableRetry()
            // A service config from DNS would replace the retries of ours.
            .disableServiceConfigLookUp()
            // The gateway allows a ping every 10 s and ends connections that ping more often.
            .keepAliveTime(30, TimeUnit.SECONDS)
            .keepAliveTimeout(10, TimeUnit.SECONDS)
            .userAgent("gateway-client-java/" + Version.VERSION);
    String address = target.substring(target.lastIndexOf('/') + 1);
    return LOOPBACK.matcher(address).matches() ? builder.usePlaintext() : builder;
  }

  private static Map<String, ?> serviceConfig() {
    try (InputStream file = Connection.class.getResourceAsStream("service-config.json")) {
      return new Gson()
          .fromJson(new InputStreamReader(file, StandardCharsets.UTF_8), new TypeToken<Map<String, Object>>() {});
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }
}
