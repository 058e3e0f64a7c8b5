package inferencegateway.client;

import io.grpc.CallCredentials;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.util.concurrent.Executor;
import java.util.function.Supplier;

/** The token that calls carry now, and the source of the next one. Safe for concurrent use. */
public final class Tokens extends CallCredentials {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final TokenSource source;
  private String current;

  /** Starts without a token: the first call asks the source. */
  public Tokens(TokenSource source) {
    this(source, "");
  }

  /** Starts with a token. */
  public Tokens(TokenSource source, String current) {
    this.source = source;
    this.current = current;
  }

  /** Replaces the token by a fresh one from the source. */
  public synchronized void renew() throws IOException {
    current = source.token();
  }

  /**
   * Makes the call, and makes it once more with a fresh token if the gateway refused the first one.
   *
   * <p>A refused call was never let in, so nothing of it was delivered or charged.
   */
  public <T> T withRenewal(Supplier<T> call) throws IOException {
    try {
      return call.get();
    } catch (StatusRuntimeException refused) {
      if (refused.getStatus().getCode() != Status.Code.UNAUTHENTICATED) {
        throw refused;
      }
      renew();
      return call.get();
    }
  }

  @Override
  public void applyRequestMetadata(RequestInfo info, Executor executor, MetadataApplier applier) {
    executor.execute(
        () -> {
          try {
            Metadata metadata = new Metadata();
            metadata.put(AUTHORIZATION, "Bearer " + bearer());
            applier.apply(metadata);
          } catch (IOException error) {
            applier.fail(Status.UNAUTHENTICATED.withDescription("no token").withCause(error));
          }
        });
  }

  private synchronized String bearer() throws IOException {
    if (current.isEmpty()) {
      renew();
    }
    return current;
  }
}
