package inferencegateway.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Inference answers turns. A turn is whole in itself: it carries its own history, because the
 * server remembers no conversation.
 * Calls carry `authorization: Bearer &lt;token&gt;` in their metadata. Every status has `google.rpc`
 * details, with the reason in ErrorInfo, and `x-request-id` is echoed in trailing metadata always.
 * A turn has exactly one receipt from the moment at which it is reserved; a call that is refused
 * before that has none.
 * </pre>
 */
@io.grpc.stub.annotations.GrpcGenerated
public final class InferenceGrpc {

  private InferenceGrpc() {}

  public static final java.lang.String SERVICE_NAME = "gateway.v1.Inference";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<inferencegateway.v1.ClientFrame,
      inferencegateway.v1.ServerFrame> getConverseMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Converse",
      requestType = inferencegateway.v1.ClientFrame.class,
      responseType = inferencegateway.v1.ServerFrame.class,
      methodType = io.grpc.MethodDescriptor.MethodType.BIDI_STREAMING)
  public static io.grpc.MethodDescriptor<inferencegateway.v1.ClientFrame,
      inferencegateway.v1.ServerFrame> getConverseMethod() {
    io.grpc.MethodDescriptor<inferencegateway.v1.ClientFrame, inferencegateway.v1.ServerFrame> getConverseMethod;
    if ((getConverseMethod = InferenceGrpc.getConverseMethod) == null) {
      synchronized (InferenceGrpc.class) {
        if ((getConverseMethod = InferenceGrpc.getConverseMethod) == null) {
          InferenceGrpc.getConverseMethod = getConverseMethod =
              io.grpc.MethodDescriptor.<inferencegateway.v1.ClientFrame, inferencegateway.v1.ServerFrame>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.BIDI_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Converse"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  inferencegateway.v1.ClientFrame.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  inferencegateway.v1.ServerFrame.getDefaultInstance()))
              .setSchemaDescriptor(new InferenceMethodDescriptorSupplier("Converse"))
              .build();
        }
      }
    }
    return getConverseMethod;
  }

  private static volatile io.grpc.MethodDescriptor<inferencegateway.v1.Turn,
      inferencegateway.v1.ServerFrame> getGenerateMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Generate",
      requestType = inferencegateway.v1.Turn.class,
      responseType = inferencegateway.v1.ServerFrame.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<inferencegateway.v1.Turn,
      inferencegateway.v1.ServerFrame> getGenerateMethod() {
    io.grpc.MethodDescriptor<inferencegateway.v1.Turn, inferencegateway.v1.ServerFrame> getGenerateMethod;
    if ((getGenerateMethod = InferenceGrpc.getGenerateMethod) == null) {
      synchronized (InferenceGrpc.class) {
        if ((getGenerateMethod = InferenceGrpc.getGenerateMethod) == null) {
          InferenceGrpc.getGenerateMethod = getGenerateMethod =
              io.grpc.MethodDescriptor.<inferencegateway.v1.Turn, inferencegateway.v1.ServerFrame>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Generate"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  inferencegateway.v1.Turn.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  inferencegateway.v1.ServerFrame.getDefaultInstance()))
              .setSchemaDescriptor(new InferenceMethodDescriptorSupplier("Generate"))
              .build();
        }
      }
    }
    return getGenerateMethod;
  }

  private static volatile io.grpc.MethodDescriptor<inferencegateway.v1.Turn,
      inferencegateway.v1.TurnResult> getCompleteMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Complete",
      requestType = inferencegateway.v1.Turn.class,
      responseType = inferencegateway.v1.TurnResult.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<inferencegateway.v1.Turn,
      inferencegateway.v1.TurnResult> getCompleteMethod() {
    io.grpc.MethodDescriptor<inferencegateway.v1.Turn, inferencegateway.v1.TurnResult> getCompleteMethod;
    if ((getCompleteMethod = InferenceGrpc.getCompleteMethod) == null) {
      synchronized (InferenceGrpc.class) {
        if ((getCompleteMethod = InferenceGrpc.getCompleteMethod) == null) {
          InferenceGrpc.getCompleteMethod = getCompleteMethod =
              io.grpc.MethodDescriptor.<inferencegateway.v1.Turn, inferencegateway.v1.TurnResult>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Complete"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  inferencegateway.v1.Turn.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  inferencegateway.v1.TurnResult.getDefaultInstance()))
              .setSchemaDescriptor(new InferenceMethodDescriptorSupplier("Complete"))
              .build();
        }
      }
    }
    return getCompleteMethod;
  }

  private static volatile io.grpc.MethodDescriptor<inferencegateway.v1.ListModelsRequest,
      inferencegateway.v1.ListModelsResponse> getListModelsMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ListModels",
      requestType = inferencegateway.v1.ListModelsRequest.class,
      responseType = inferencegateway.v1.ListModelsResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<inferencegateway.v1.ListModelsRequest,
      inferencegateway.v1.ListModelsResponse> getListModelsMethod() {
    io.grpc.MethodDescriptor<inferencegateway.v1.ListModelsRequest, inferencegateway.v1.ListModelsResponse> getListModelsMethod;
    if ((getListModelsMethod = InferenceGrpc.getListModelsMethod) == null) {
      synchronized (InferenceGrpc.class) {
        if ((getListModelsMethod = InferenceGrpc.getListModelsMethod) == null) {
          InferenceGrpc.getListModelsMethod = getListModelsMethod =
              io.grpc.MethodDescriptor.<inferencegateway.v1.ListModelsRequest, inferencegateway.v1.ListModelsResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ListModels"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  inferencegateway.v1.ListModelsRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  inferencegateway.v1.ListModelsResponse.getDefaultInstance()))
              .setSchemaDescriptor(new InferenceMethodDescriptorSupplier("ListModels"))
              .build();
        }
      }
    }
    return getListModelsMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static InferenceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<InferenceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<InferenceStub>() {
        @java.lang.Override
        public InferenceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new InferenceStub(channel, callOptions);
        }
      };
    return InferenceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports all types of calls on the service
   */
  public static InferenceBlockingV2Stub newBlockingV2Stub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<InferenceBlockingV2Stub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<InferenceBlockingV2Stub>() {
        @java.lang.Override
        public InferenceBlockingV2Stub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new InferenceBlockingV2Stub(channel, callOptions);
        }
      };
    return InferenceBlockingV2Stub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static InferenceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<InferenceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<InferenceBlockingStub>() {
        @java.lang.Override
        public InferenceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new InferenceBlockingStub(channel, callOptions);
        }
      };
    return InferenceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static InferenceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<InferenceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<InferenceFutureStub>() {
        @java.lang.Override
        public InferenceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new InferenceFutureStub(channel, callOptions);
        }
      };
    return InferenceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Inference answers turns. A turn is whole in itself: it carries its own history, because the
   * server remembers no conversation.
   * Calls carry `authorization: Bearer &lt;token&gt;` in their metadata. Every status has `google.rpc`
   * details, with the reason in ErrorInfo, and `x-request-id` is echoed in trailing metadata always.
   * A turn has exactly one receipt from the moment at which it is reserved; a call that is refused
   * before that has none.
   * </pre>
   */
  public interface AsyncService {

    /**
     * <pre>
     * Converse runs many turns on one stream, up to 8 of them at once. It needs the scope
     * `model.stream`.
     * Trouble with one turn is a `fault` and an `end` frame, and the stream lives on; trouble with
     * the stream itself is a gRPC status. Closing the client's half means "no more input", and
     * running turns still finish. A stream lasts at most 900 seconds, and `go_away` comes before
     * that.
     * </pre>
     */
    default io.grpc.stub.StreamObserver<inferencegateway.v1.ClientFrame> converse(
        io.grpc.stub.StreamObserver<inferencegateway.v1.ServerFrame> responseObserver) {
      return io.grpc.stub.ServerCalls.asyncUnimplementedStreamingCall(getConverseMethod(), responseObserver);
    }

    /**
     * <pre>
     * Generate runs one turn and streams its frames. It needs the scope `model.stream`.
     * Trouble after the first frame is an `end` frame and then the status; trouble before it is the
     * status alone, and `fault` is never sent.
     * </pre>
     */
    default void generate(inferencegateway.v1.Turn request,
        io.grpc.stub.StreamObserver<inferencegateway.v1.ServerFrame> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGenerateMethod(), responseObserver);
    }

    /**
     * <pre>
     * Complete runs one turn and returns the frames of Generate folded into one message. It needs the
     * scope `model.read`.
     * </pre>
     */
    default void complete(inferencegateway.v1.Turn request,
        io.grpc.stub.StreamObserver<inferencegateway.v1.TurnResult> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCompleteMethod(), responseObserver);
    }

    /**
     * <pre>
     * ListModels names the models that the caller's tenant may use. It needs the scope `model.read`.
     * </pre>
     */
    default void listModels(inferencegateway.v1.ListModelsRequest request,
        io.grpc.stub.StreamObserver<inferencegateway.v1.ListModelsResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getListModelsMethod(), responseObserver);
    }
  }

  /**
   * Base class for the server implementation of the service Inference.
   * <pre>
   * Inference answers turns. A turn is whole in itself: it carries its own history, because the
   * server remembers no conversation.
   * Calls carry `authorization: Bearer &lt;token&gt;` in their metadata. Every status has `google.rpc`
   * details, with the reason in ErrorInfo, and `x-request-id` is echoed in trailing metadata always.
   * A turn has exactly one receipt from the moment at which it is reserved; a call that is refused
   * before that has none.
   * </pre>
   */
  public static abstract class InferenceImplBase
      implements io.grpc.BindableService, AsyncService {

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return InferenceGrpc.bindService(this);
    }
  }

  /**
   * A stub to allow clients to do asynchronous rpc calls to service Inference.
   * <pre>
   * Inference answers turns. A turn is whole in itself: it carries its own history, because the
   * server remembers no conversation.
   * Calls carry `authorization: Bearer &lt;token&gt;` in their metadata. Every status has `google.rpc`
   * details, with the reason in ErrorInfo, and `x-request-id` is echoed in trailing metadata always.
   * A turn has exactly one receipt from the moment at which it is reserved; a call that is refused
   * before that has none.
   * </pre>
   */
  public static final class InferenceStub
      extends io.grpc.stub.AbstractAsyncStub<InferenceStub> {
    private InferenceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected InferenceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new InferenceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Converse runs many turns on one stream, up to 8 of them at once. It needs the scope
     * `model.stream`.
     * Trouble with one turn is a `fault` and an `end` frame, and the stream lives on; trouble with
     * the stream itself is a gRPC status. Closing the client's half means "no more input", and
     * running turns still finish. A stream lasts at most 900 seconds, and `go_away` comes before
     * that.
     * </pre>
     */
    public io.grpc.stub.StreamObserver<inferencegateway.v1.ClientFrame> converse(
        io.grpc.stub.StreamObserver<inferencegateway.v1.ServerFrame> responseObserver) {
      return io.grpc.stub.ClientCalls.asyncBidiStreamingCall(
          getChannel().newCall(getConverseMethod(), getCallOptions()), responseObserver);
    }

    /**
     * <pre>
     * Generate runs one turn and streams its frames. It needs the scope `model.stream`.
     * Trouble after the first frame is an `end` frame and then the status; trouble before it is the
     * status alone, and `fault` is never sent.
     * </pre>
     */
    public void generate(inferencegateway.v1.Turn request,
        io.grpc.stub.StreamObserver<inferencegateway.v1.ServerFrame> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getGenerateMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Complete runs one turn and returns the frames of Generate folded into one message. It needs the
     * scope `model.read`.
     * </pre>
     */
    public void complete(inferencegateway.v1.Turn request,
        io.grpc.stub.StreamObserver<inferencegateway.v1.TurnResult> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getCompleteMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * ListModels names the models that the caller's tenant may use. It needs the scope `model.read`.
     * </pre>
     */
    public void listModels(inferencegateway.v1.ListModelsRequest request,
        io.grpc.stub.StreamObserver<inferencegateway.v1.ListModelsResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getListModelsMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * A stub to allow clients to do synchronous rpc calls to service Inference.
   * <pre>
   * Inference answers turns. A turn is whole in itself: it carries its own history, because the
   * server remembers no conversation.
   * Calls carry `authorization: Bearer &lt;token&gt;` in their metadata. Every status has `google.rpc`
   * details, with the reason in ErrorInfo, and `x-request-id` is echoed in trailing metadata always.
   * A turn has exactly one receipt from the moment at which it is reserved; a call that is refused
   * before that has none.
   * </pre>
   */
  public static final class InferenceBlockingV2Stub
      extends io.grpc.stub.AbstractBlockingStub<InferenceBlockingV2Stub> {
    private InferenceBlockingV2Stub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected InferenceBlockingV2Stub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new InferenceBlockingV2Stub(channel, callOptions);
    }

    /**
     * <pre>
     * Converse runs many turns on one stream, up to 8 of them at once. It needs the scope
     * `model.stream`.
     * Trouble with one turn is a `fault` and an `end` frame, and the stream lives on; trouble with
     * the stream itself is a gRPC status. Closing the client's half means "no more input", and
     * running turns still finish. A stream lasts at most 900 seconds, and `go_away` comes before
     * that.
     * </pre>
     */
    @io.grpc.ExperimentalApi("https://github.com/grpc/grpc-java/issues/10918")
    public io.grpc.stub.BlockingClientCall<inferencegateway.v1.ClientFrame, inferencegateway.v1.ServerFrame>
        converse() {
      return io.grpc.stub.ClientCalls.blockingBidiStreamingCall(
          getChannel(), getConverseMethod(), getCallOptions());
    }

    /**
     * <pre>
     * Generate runs one turn and streams its frames. It needs the scope `model.stream`.
     * Trouble after the first frame is an `end` frame and then the status; trouble before it is the
     * status alone, and `fault` is never sent.
     * </pre>
     */
    @io.grpc.ExperimentalApi("https://github.com/grpc/grpc-java/issues/10918")
    public io.grpc.stub.BlockingClientCall<?, inferencegateway.v1.ServerFrame>
        generate(inferencegateway.v1.Turn request) {
      return io.grpc.stub.ClientCalls.blockingV2ServerStreamingCall(
          getChannel(), getGenerateMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Complete runs one turn and returns the frames of Generate folded into one message. It needs the
     * scope `model.read`.
     * </pre>
     */
    public inferencegateway.v1.TurnResult complete(inferencegateway.v1.Turn request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getCompleteMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * ListModels names the models that the caller's tenant may use. It needs the scope `model.read`.
     * </pre>
     */
    public inferencegateway.v1.ListModelsResponse listModels(inferencegateway.v1.ListModelsRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getListModelsMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do limited synchronous rpc calls to service Inference.
   * <pre>
   * Inference answers turns. A turn is whole in itself: it carries its own history, because the
   * server remembers no conversation.
   * Calls carry `authorization: Bearer &lt;token&gt;` in their metadata. Every status has `google.rpc`
   * details, with the reason in ErrorInfo, and `x-request-id` is echoed in trailing metadata always.
   * A turn has exactly one receipt from the moment at which it is reserved; a call that is refused
   * before that has none.
   * </pre>
   */
  public static final class InferenceBlockingStub
      extends io.grpc.stub.AbstractBlockingStub<InferenceBlockingStub> {
    private InferenceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected InferenceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new InferenceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Generate runs one turn and streams its frames. It needs the scope `model.stream`.
     * Trouble after the first frame is an `end` frame and then the status; trouble before it is the
     * status alone, and `fault` is never sent.
     * </pre>
     */
    public java.util.Iterator<inferencegateway.v1.ServerFrame> generate(
        inferencegateway.v1.Turn request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getGenerateMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Complete runs one turn and returns the frames of Generate folded into one message. It needs the
     * scope `model.read`.
     * </pre>
     */
    public inferencegateway.v1.TurnResult complete(inferencegateway.v1.Turn request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getCompleteMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * ListModels names the models that the caller's tenant may use. It needs the scope `model.read`.
     * </pre>
     */
    public inferencegateway.v1.ListModelsResponse listModels(inferencegateway.v1.ListModelsRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getListModelsMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do ListenableFuture-style rpc calls to service Inference.
   * <pre>
   * Inference answers turns. A turn is whole in itself: it carries its own history, because the
   * server remembers no conversation.
   * Calls carry `authorization: Bearer &lt;token&gt;` in their metadata. Every status has `google.rpc`
   * details, with the reason in ErrorInfo, and `x-request-id` is echoed in trailing metadata always.
   * A turn has exactly one receipt from the moment at which it is reserved; a call that is refused
   * before that has none.
   * </pre>
   */
  public static final class InferenceFutureStub
      extends io.grpc.stub.AbstractFutureStub<InferenceFutureStub> {
    private InferenceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected InferenceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new InferenceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Complete runs one turn and returns the frames of Generate folded into one message. It needs the
     * scope `model.read`.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<inferencegateway.v1.TurnResult> complete(
        inferencegateway.v1.Turn request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getCompleteMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * ListModels names the models that the caller's tenant may use. It needs the scope `model.read`.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<inferencegateway.v1.ListModelsResponse> listModels(
        inferencegateway.v1.ListModelsRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getListModelsMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_GENERATE = 0;
  private static final int METHODID_COMPLETE = 1;
  private static final int METHODID_LIST_MODELS = 2;
  private static final int METHODID_CONVERSE = 3;

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
        case METHODID_GENERATE:
          serviceImpl.generate((inferencegateway.v1.Turn) request,
              (io.grpc.stub.StreamObserver<inferencegateway.v1.ServerFrame>) responseObserver);
          break;
        case METHODID_COMPLETE:
          serviceImpl.complete((inferencegateway.v1.Turn) request,
              (io.grpc.stub.StreamObserver<inferencegateway.v1.TurnResult>) responseObserver);
          break;
        case METHODID_LIST_MODELS:
          serviceImpl.listModels((inferencegateway.v1.ListModelsRequest) request,
              (io.grpc.stub.StreamObserver<inferencegateway.v1.ListModelsResponse>) responseObserver);
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
        case METHODID_CONVERSE:
          return (io.grpc.stub.StreamObserver<Req>) serviceImpl.converse(
              (io.grpc.stub.StreamObserver<inferencegateway.v1.ServerFrame>) responseObserver);
        default:
          throw new AssertionError();
      }
    }
  }

  public static final io.grpc.ServerServiceDefinition bindService(AsyncService service) {
    return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
        .addMethod(
          getConverseMethod(),
          io.grpc.stub.ServerCalls.asyncBidiStreamingCall(
            new MethodHandlers<
              inferencegateway.v1.ClientFrame,
              inferencegateway.v1.ServerFrame>(
                service, METHODID_CONVERSE)))
        .addMethod(
          getGenerateMethod(),
          io.grpc.stub.ServerCalls.asyncServerStreamingCall(
            new MethodHandlers<
              inferencegateway.v1.Turn,
              inferencegateway.v1.ServerFrame>(
                service, METHODID_GENERATE)))
        .addMethod(
          getCompleteMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              inferencegateway.v1.Turn,
              inferencegateway.v1.TurnResult>(
                service, METHODID_COMPLETE)))
        .addMethod(
          getListModelsMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              inferencegateway.v1.ListModelsRequest,
              inferencegateway.v1.ListModelsResponse>(
                service, METHODID_LIST_MODELS)))
        .build();
  }

  private static abstract class InferenceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    InferenceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return inferencegateway.v1.InferenceOuterClass.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("Inference");
    }
  }

  private static final class InferenceFileDescriptorSupplier
      extends InferenceBaseDescriptorSupplier {
    InferenceFileDescriptorSupplier() {}
  }

  private static final class InferenceMethodDescriptorSupplier
      extends InferenceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final java.lang.String methodName;

    InferenceMethodDescriptorSupplier(java.lang.String methodName) {
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
      synchronized (InferenceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new InferenceFileDescriptorSupplier())
              .addMethod(getConverseMethod())
              .addMethod(getGenerateMethod())
              .addMethod(getCompleteMethod())
              .addMethod(getListModelsMethod())
              .build();
        }
      }
    }
    return result;
  }
}
