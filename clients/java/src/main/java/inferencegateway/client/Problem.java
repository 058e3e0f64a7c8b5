package inferencegateway.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * A failed call in the gateway's own words.
 *
 * @param code the gRPC code
 * @param message what went wrong and what to do about it, for people
 * @param reason a stable word such as RATE_LIMITED; empty when no gateway answered
 * @param facts the metadata of ErrorInfo: request_id and retryable always, receipt_id once there is one
 * @param retryAfter how long to wait before the next try; empty when waiting does not help
 * @param fields what is wrong with which field of the request, by its proto path
 */
public record Problem(
    Status.Code code,
    String message,
    String reason,
    Map<String, String> facts,
    Optional<Duration> retryAfter,
    Map<String, String> fields) {

  /** Reads the status of a failed call and its google.rpc details. */
  public static Problem of(StatusRuntimeException error) {
    String reason = "";
    Map<String, String> facts = Map.of();
    Optional<Duration> retryAfter = Optional.empty();
    Map<String, String> fields = new LinkedHashMap<>();
    com.google.rpc.Status status = StatusProto.fromThrowable(error);
    try {
      for (Any detail : status.getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          reason = info.getReason();
          facts = info.getMetadataMap();
        } else if (detail.is(RetryInfo.class)) {
          com.google.protobuf.Duration wait = detail.unpack(RetryInfo.class).getRetryDelay();
          retryAfter = Optional.of(Duration.ofSeconds(wait.getSeconds(), wait.getNanos()));
        } else if (detail.is(BadRequest.class)) {
          for (BadRequest.FieldViolation wrong : detail.unpack(BadRequest.class).getFieldViolationsList()) {
            fields.put(wrong.getField(), wrong.getDescription());
          }
        }
      }
    } catch (InvalidProtocolBufferException unreadable) {
      error.addSuppressed(unreadable);
    }
    return new Problem(error.getStatus().getCode(), status.getMessage(), reason, facts, retryAfter, fields);
  }
}
