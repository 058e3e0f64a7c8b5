package inferencegateway.example;

import inferencegateway.client.Connection;
import inferencegateway.client.Problem;
import inferencegateway.client.TokenSource;
import inferencegateway.client.Tokens;
import inferencegateway.v1.AccountGrpc;
import inferencegateway.v1.Allowance;
import inferencegateway.v1.GetLimitsRequest;
import inferencegateway.v1.InferenceGrpc;
import inferencegateway.v1.ListModelsRequest;
import inferencegateway.v1.SearchMode;
import inferencegateway.v1.SearchOptions;
import inferencegateway.v1.ServerFrame;
import inferencegateway.v1.Source;
import inferencegateway.v1.Turn;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Does what every caller needs, one step after the other, or only the steps that it is given: answer, cancel,
 * deadline, error, renew, and limit, which is left out unless named.
 *
 * <p>It reads GATEWAY_GRPC_TARGET (127.0.0.1:50051) and the token in GATEWAY_TOKEN_FILE (.gateway/dev-token).
 */
public final class Example {
  private static final String QUESTION = "how does the gateway meter a broken stream?";

  private final String target;
  private final TokenSource source;
  private final ManagedChannel channel;
  private final Tokens tokens;

  private Example(String target, TokenSource source) {
    this.target = target;
    this.source = source;
    this.channel = Connection.open(target);
    this.tokens = new Tokens(source);
  }

  public static void main(String[] names) throws Exception {
    String tokenFile = System.getenv().getOrDefault("GATEWAY_TOKEN_FILE", ".gateway/dev-token");
    Example example =
        new Example(
            System.getenv().getOrDefault("GATEWAY_GRPC_TARGET", "127.0.0.1:50051"),
            TokenSource.file(Path.of(tokenFile)));
    List<String> steps = names.length > 0 ? List.of(names) : List.of("answer", "cancel", "deadline", "error", "renew");
    try {
      for (String step : steps) {
        example.step(step);
      }
    } finally {
      example.channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  private void step(String name) throws IOException {
    switch (name) {
      case "answer" -> answer();
      case "cancel" -> cancel();
      case "deadline" -> deadline();
      case "error" -> error();
      case "renew" -> renew();
      case "limit" -> limit();
      default -> throw new IllegalArgumentException("no step " + name);
    }
  }

  /** A stub whose calls carry a token and have a deadline: none is made without. */
  private InferenceGrpc.InferenceBlockingStub calls() {
    return InferenceGrpc.newBlockingStub(channel).withCallCredentials(tokens).withDeadlineAfter(2, TimeUnit.MINUTES);
  }

  /** A question with an id of its own, so that a repeat of the same call is never charged twice. */
  private static Turn.Builder turn(String prompt) {
    return Turn.newBuilder().setTurnId(UUID.randomUUID().toString()).setPrompt(prompt);
  }

  /** Streams one answer with the sources that it rests on. */
  private void answer() {
    SearchOptions search = SearchOptions.newBuilder().setMode(SearchMode.SEARCH_MODE_ALWAYS).build();
    Iterator<ServerFrame> frames = calls().generate(turn(QUESTION).setSearch(search).build());
    List<Source> sources = new ArrayList<>();
    System.out.print("answer: ");
    while (frames.hasNext()) {
      ServerFrame frame = frames.next();
      switch (frame.getFrameCase()) {
        case DELTA -> System.out.print(frame.getDelta().getText());
        case SEARCH -> sources.addAll(frame.getSearch().getSourcesList());
        case END -> System.out.printf("%nreceipt: %s %s%n", frame.getEnd().getReceiptId(), frame.getEnd().getFinish());
        default -> {}
      }
    }
    for (Source found : sources) {
      System.out.printf("source: %s %s %s%n", found.getSourceId(), found.getTitle(), found.getUrl());
    }
  }

  /** Leaves after the first words: the model stops, and only what had arrived is charged. */
  private void cancel() {
    try (Context.CancellableContext leaving = Context.current().withCancellation()) {
      leaving.run(
          () -> {
            Iterator<ServerFrame> frames = calls().generate(turn("count slowly").build());
            while (frames.hasNext()) {
              if (!frames.next().getDelta().getText().isEmpty()) {
                leaving.cancel(null);
              }
            }
          });
      System.out.println("cancel: the answer had ended before");
    } catch (StatusRuntimeException error) {
      expect(Status.Code.CANCELLED, error);
      System.out.println("cancel: CANCELLED");
    }
  }

  /** Allows a call less time than any answer takes. */
  private void deadline() {
    try {
      calls().withDeadlineAfter(1, TimeUnit.MILLISECONDS).complete(turn("count slowly").build());
      throw new IllegalStateException("an answer within a millisecond");
    } catch (StatusRuntimeException error) {
      expect(Status.Code.DEADLINE_EXCEEDED, error);
      System.out.println("deadline: DEADLINE_EXCEEDED");
    }
  }

  /** Reads why a call was refused. */
  private void error() {
    try {
      calls().complete(turn(QUESTION).setModel("no-such-model").build());
      throw new IllegalStateException("a model that does not exist has answered");
    } catch (StatusRuntimeException error) {
      Problem why = Problem.of(error);
      System.out.printf(
          "error: %s %s retryable=%s: %s%n", why.code(), why.reason(), why.facts().get("retryable"), why.message());
    }
  }

  /** Starts with a token that has run out, as after a long pause, and goes on with a fresh one. */
  private void renew() throws IOException {
    AtomicInteger renewals = new AtomicInteger();
    Tokens old =
        new Tokens(
            () -> {
              renewals.incrementAndGet();
              return source.token();
            },
            "a-token-that-has-run-out");
    int models =
        old.withRenewal(
            () ->
                InferenceGrpc.newBlockingStub(channel)
                    .withCallCredentials(old)
                    .withDeadlineAfter(30, TimeUnit.SECONDS)
                    .listModels(ListModelsRequest.getDefaultInstance())
                    .getModelsCount());
    System.out.printf("renew: %d renewal, then %d models%n", renewals.get(), models);
  }

  /**
   * Asks until the tenant's limit says no, and reads how long to wait. It uses the whole minute's allowance.
   *
   * <p>grpc-java waits by itself as long as the gateway says and tries again, so a caller notices a limit only by the
   * time that its calls take. This one wants to see it, and goes without retries.
   */
  private void limit() {
    ManagedChannel direct = Connection.builder(target).disableRetry().build();
    try {
      refused(direct);
    } finally {
      direct.shutdownNow();
    }
  }

  private void refused(ManagedChannel direct) {
    long most = left() + 100;
    for (long call = 0; call < most; call++) {
      try {
        InferenceGrpc.newBlockingStub(direct)
            .withCallCredentials(tokens)
            .withDeadlineAfter(2, TimeUnit.MINUTES)
            .complete(turn(QUESTION).build());
      } catch (StatusRuntimeException error) {
        Problem why = Problem.of(error);
        long milliseconds = why.retryAfter().orElseThrow(() -> error).toMillis();
        System.out.printf("limit: %s %s, again in %d ms%n", why.code(), why.reason(), milliseconds);
        return;
      }
    }
    throw new IllegalStateException("nothing was refused");
  }

  /** How many requests the tenant may still make in this minute. */
  private long left() {
    return AccountGrpc.newBlockingStub(channel)
        .withCallCredentials(tokens)
        .withDeadlineAfter(30, TimeUnit.SECONDS)
        .getLimits(GetLimitsRequest.getDefaultInstance())
        .getAllowancesList()
        .stream()
        .filter(allowance -> allowance.getDimension().equals("requests_per_minute"))
        .mapToLong(Allowance::getRemaining)
        .sum();
  }

  private static void expect(Status.Code code, StatusRuntimeException error) {
    if (error.getStatus().getCode() != code) {
      throw error;
    }
  }
}
