package inferencegateway.deepseek;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * DeepSeek answers one question per call through the gateway's DeepSeek upstream, or through
 * whichever model the operator made the default.
 * Calls carry `authorization: Bearer &lt;token&gt;` in their metadata and need the scope `model.stream`.
 * </pre>
 */
@io.grpc.stub.annotations.GrpcGenerated
public final class DeepSeekGrpc {

  private DeepSeekGrpc() {}

  public static final java.lang.String SERVICE_NAME = "deepseek.DeepSeek";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<inferencegateway.deepseek.ModelRequest,
      inferencegateway.deepseek.ModelResponse> getStreamPredictMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "StreamPredict",
      requestType = inferencegateway.deepseek.ModelRequest.class,
      responseType = inferencegateway.deepseek.ModelResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<inferencegateway.deepseek.ModelRequest,
      inferencegateway.deepseek.ModelResponse> getStreamPredictMethod() {
    io.grpc.MethodDescriptor<inferencegateway.deepseek.ModelRequest, inferencegateway.deepseek.ModelResponse> getStreamPredictMethod;
    if ((getStreamPredictMethod = DeepSeekGrpc.getStreamPredictMethod) == null) {
      synchronized (DeepSeekGrpc.class) {
        if ((getStreamPredictMethod = DeepSeekGrpc.getStreamPredictMethod) == null) {
          DeepSeekGrpc.getStreamPredictMethod = getStreamPredictMethod =
              io.grpc.MethodDescriptor.<inferencegateway.deepseek.ModelRequest, inferencegateway.deepseek.ModelResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "StreamPredict"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  inferencegateway.deepseek.ModelRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  inferencegateway.deepseek.ModelResponse.getDefaultInstance()))
              .setSchemaDescriptor(new DeepSeekMethodDescriptorSupplier("StreamPredict"))
              .build();
        }
      }
    }
    return getStreamPredictMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static DeepSeekStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<DeepSeekStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<DeepSeekStub>() {
        @java.lang.Override
        public DeepSeekStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new DeepSeekStub(channel, callOptions);
        }
      };
    return DeepSeekStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports all types of calls on the service
   */
  public static DeepSeekBlockingV2Stub newBlockingV2Stub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<DeepSeekBlockingV2Stub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<DeepSeekBlockingV2Stub>() {
        @java.lang.Override
        public DeepSeekBlockingV2Stub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new DeepSeekBlockingV2Stub(channel, callOptions);
        }
      };
    return DeepSeekBlockingV2Stub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static DeepSeekBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<DeepSeekBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<DeepSeekBlockingStub>() {
        @java.lang.Override
        public DeepSeekBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new DeepSeekBlockingStub(channel, callOptions);
        }
      };
    return DeepSeekBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static DeepSeekFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<DeepSeekFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<DeepSeekFutureStub>() {
        @java.lang.Override
        public DeepSeekFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new DeepSeekFutureStub(channel, callOptions);
        }
      };
    return DeepSeekFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * DeepSeek answers one question per call through the gateway's DeepSeek upstream, or through
   * whichever model the operator made the default.
   * Calls carry `authorization: Bearer &lt;token&gt;` in their metadata and need the scope `model.stream`.
   * </pre>
   */
  public interface AsyncService {

    /**
     * <pre>
     * StreamPredict answers one question and streams the text as it arrives from the model.
     * Nothing is sent before the first text, so a call that fails earlier can be retried by any gRPC
     * client. Failures are gRPC statuses with `google.rpc` details. What the messages have no room
     * for travels in trailing metadata: `gateway-receipt-id`, `gateway-model`, `gateway-usage-bin` (a
     * serialized `gateway.v1.Usage`) and `gateway-notice-bin` (a serialized `gateway.v1.Notice`,
     * repeated). Whether the web is searched for the answer is the tenant's setting, shipped as
     * automatic.
     * </pre>
     */
    default void streamPredict(inferencegateway.deepseek.ModelRequest request,
        io.grpc.stub.StreamObserver<inferencegateway.deepseek.ModelResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getStreamPredictMethod(), responseObserver);
    }
  }

  /**
   * Base class for the server implementation of the service DeepSeek.
   * <pre>
   * DeepSeek answers one question per call through the gateway's DeepSeek upstream, or through
   * whichever model the operator made the default.
   * Calls carry `authorization: Bearer &lt;token&gt;` in their metadata and need the scope `model.stream`.
   * </pre>
   */
  public static abstract class DeepSeekImplBase
      implements io.grpc.BindableService, AsyncService {

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return DeepSeekGrpc.bindService(this);
    }
  }

  /**
   * A stub to allow clients to do asynchronous rpc calls to service DeepSeek.
   * <pre>
   * DeepSeek answers one question per call through the gateway's DeepSeek upstream, or through
   * whichever model the operator made the default.
   * Calls carry `authorization: Bearer &lt;token&gt;` in their metadata and need the scope `model.stream`.
   * </pre>
   */
  public static final class DeepSeekStub
      extends io.grpc.stub.AbstractAsyncStub<DeepSeekStub> {
    private DeepSeekStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected DeepSeekStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new DeepSeekStub(channel, callOptions);
    }

    /**
     * <pre>
     * StreamPredict answers one question and streams the text as it arrives from the model.
     * Nothing is sent before the first text, so a call that fails earlier can be retried by any gRPC
     * client. Failures are gRPC statuses with `google.rpc` details. What the messages have no room
     * for travels in trailing metadata: `gateway-receipt-id`, `gateway-model`, `gateway-usage-bin` (a
     * serialized `gateway.v1.Usage`) and `gateway-notice-bin` (a serialized `gateway.v1.Notice`,
     * repeated). Whether the web is searched for the answer is the tenant's setting, shipped as
     * automatic.
     * </pre>
     */
    public void streamPredict(inferencegateway.deepseek.ModelRequest request,
        io.grpc.stub.StreamObserver<inferencegateway.deepseek.ModelResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getStreamPredictMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * A stub to allow clients to do synchronous rpc calls to service DeepSeek.
   * <pre>
   * DeepSeek answers one question per call through the gateway's DeepSeek upstream, or through
   * whichever model the operator made the default.
   * Calls carry `authorization: Bearer &lt;token&gt;` in their metadata and need the scope `model.stream`.
   * </pre>
   */
  public static final class DeepSeekBlockingV2Stub
      extends io.grpc.stub.AbstractBlockingStub<DeepSeekBlockingV2Stub> {
    private DeepSeekBlockingV2Stub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected DeepSeekBlockingV2Stub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new DeepSeekBlockingV2Stub(channel, callOptions);
    }

    /**
     * <pre>
     * StreamPredict answers one question and streams the text as it arrives from the model.
     * Nothing is sent before the first text, so a call that fails earlier can be retried by any gRPC
     * client. Failures are gRPC statuses with `google.rpc` details. What the messages have no room
     * for travels in trailing metadata: `gateway-receipt-id`, `gateway-model`, `gateway-usage-bin` (a
     * serialized `gateway.v1.Usage`) and `gateway-notice-bin` (a serialized `gateway.v1.Notice`,
     * repeated). Whether the web is searched for the answer is the tenant's setting, shipped as
     * automatic.
     * </pre>
     */
    @io.grpc.ExperimentalApi("https://github.com/grpc/grpc-java/issues/10918")
    public io.grpc.stub.BlockingClientCall<?, inferencegateway.deepseek.ModelResponse>
        streamPredict(inferencegateway.deepseek.ModelRequest request) {
      return io.grpc.stub.ClientCalls.blockingV2ServerStreamingCall(
          getChannel(), getStreamPredictMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do limited synchronous rpc calls to service DeepSeek.
   * <pre>
   * DeepSeek answers one question per call through the gateway's DeepSeek upstream, or through
   * whichever model the operator made the default.
   * Calls carry `authorization: Bearer &lt;token&gt;` in their metadata and need the scope `model.stream`.
   * </pre>
   */
  public static final class DeepSeekBlockingStub
      extends io.grpc.stub.AbstractBlockingStub<DeepSeekBlockingStub> {
    private DeepSeekBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected DeepSeekBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new DeepSeekBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * StreamPredict answers one question and streams the text as it arrives from the model.
     * Nothing is sent before the first text, so a call that fails earlier can be retried by any gRPC
     * client. Failures are gRPC statuses with `google.rpc` details. What the messages have no room
     * for travels in trailing metadata: `gateway-receipt-id`, `gateway-model`, `gateway-usage-bin` (a
     * serialized `gateway.v1.Usage`) and `gateway-notice-bin` (a serialized `gateway.v1.Notice`,
     * repeated). Whether the web is searched for the answer is the tenant's setting, shipped as
     * automatic.
     * </pre>
     */
    public java.util.Iterator<inferencegateway.deepseek.ModelResponse> streamPredict(
        inferencegateway.deepseek.ModelRequest request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getStreamPredictMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do ListenableFuture-style rpc calls to service DeepSeek.
   * <pre>
   * DeepSeek answers one question per call through the gateway's DeepSeek upstream, or through
   * whichever model the operator made the default.
   * Calls carry `authorization: Bearer &lt;token&gt;` in their metadata and need the scope `model.stream`.
   * </pre>
   */
  public static final class DeepSeekFutureStub
      extends io.grpc.stub.AbstractFutureStub<DeepSeekFutureStub> {
    private DeepSeekFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected DeepSeekFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new DeepSeekFutureStub(channel, callOptions);
    }
  }

  private static final int METHODID_STREAM_PREDICT = 0;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final AsyncService serviceImpl;
    private final int methodId;

    MethodHandlers(AsyncService serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_STREAM_PREDICT:
          serviceImpl.streamPredict((inferencegateway.deepseek.ModelRequest) request,
              (io.grpc.stub.StreamObserver<inferencegateway.deepseek.ModelResponse>) responseObserver);
          break;
        default:
          throw new AssertionError();
      }
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public io.grpc.stub.StreamObserver<Req> invoke(
        io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        default:
          throw new AssertionError();
      }
    }
  }

  public static final io.grpc.ServerServiceDefinition bindService(AsyncService service) {
    return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
        .addMethod(
          getStreamPredictMethod(),
          io.grpc.stub.ServerCalls.asyncServerStreamingCall(
            new MethodHandlers<
              inferencegateway.deepseek.ModelRequest,
              inferencegateway.deepseek.ModelResponse>(
                service, METHODID_STREAM_PREDICT)))
        .build();
  }

  private static abstract class DeepSeekBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    DeepSeekBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return inferencegateway.deepseek.Deepseek.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("DeepSeek");
    }
  }

  private static final class DeepSeekFileDescriptorSupplier
      extends DeepSeekBaseDescriptorSupplier {
    DeepSeekFileDescriptorSupplier() {}
  }

  private static final class DeepSeekMethodDescriptorSupplier
      extends DeepSeekBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final java.lang.String methodName;

    DeepSeekMethodDescriptorSupplier(java.lang.String methodName) {
      this.methodName = methodName;
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.MethodDescriptor getMethodDescriptor() {
      return getServiceDescriptor().findMethodByName(methodName);
    }
  }

  private static volatile io.grpc.ServiceDescriptor serviceDescriptor;

  public static io.grpc.ServiceDescriptor getServiceDescriptor() {
    io.grpc.ServiceDescriptor result = serviceDescriptor;
    if (result == null) {
      synchronized (DeepSeekGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new DeepSeekFileDescriptorSupplier())
              .addMethod(getStreamPredictMethod())
              .build();
        }
      }
    }
    return result;
  }
}
