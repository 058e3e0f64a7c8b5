package inferencegateway.client;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Gives a bearer token; it is asked again when the gateway refused the last one. */
@FunctionalInterface
public interface TokenSource {
  /** A token that has just been made or read. */
  String token() throws IOException;

  /** Reads the token from a file, as an agent or a mounted secret renews it. */
  static TokenSource file(Path path) {
    return () -> Files.readString(path).strip();
  }
}
