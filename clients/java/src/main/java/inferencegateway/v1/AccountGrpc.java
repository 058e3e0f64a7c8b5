package inferencegateway.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Account shows callers their own tenant's limits and receipts. Any valid token may call it, and
 * nothing of another tenant is ever visible through it.
 * </pre>
 */
@io.grpc.stub.annotations.GrpcGenerated
public final class AccountGrpc {

  private AccountGrpc() {}

  public static final java.lang.String SERVICE_NAME = "gateway.v1.Account";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<inferencegateway.v1.GetLimitsRequest,
      inferencegateway.v1.Limits> getGetLimitsMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "GetLimits",
      requestType = inferencegateway.v1.GetLimitsRequest.class,
      responseType = inferencegateway.v1.Limits.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<inferencegateway.v1.GetLimitsRequest,
      inferencegateway.v1.Limits> getGetLimitsMethod() {
    io.grpc.MethodDescriptor<inferencegateway.v1.GetLimitsRequest, inferencegateway.v1.Limits> getGetLimitsMethod;
    if ((getGetLimitsMethod = AccountGrpc.getGetLimitsMethod) == null) {
      synchronized (AccountGrpc.class) {
        if ((getGetLimitsMethod = AccountGrpc.getGetLimitsMethod) == null) {
          AccountGrpc.getGetLimitsMethod = getGetLimitsMethod =
              io.grpc.MethodDescriptor.<inferencegateway.v1.GetLimitsRequest, inferencegateway.v1.Limits>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "GetLimits"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  inferencegateway.v1.GetLimitsRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  inferencegateway.v1.Limits.getDefaultInstance()))
              .setSchemaDescriptor(new AccountMethodDescriptorSupplier("GetLimits"))
              .build();
        }
      }
    }
    return getGetLimitsMethod;
  }

  private static volatile io.grpc.MethodDescriptor<inferencegateway.v1.GetReceiptRequest,
      inferencegateway.v1.Receipt> getGetReceiptMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "GetReceipt",
      requestType = inferencegateway.v1.GetReceiptRequest.class,
      responseType = inferencegateway.v1.Receipt.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<inferencegateway.v1.GetReceiptRequest,
      inferencegateway.v1.Receipt> getGetReceiptMethod() {
    io.grpc.MethodDescriptor<inferencegateway.v1.GetReceiptRequest, inferencegateway.v1.Receipt> getGetReceiptMethod;
    if ((getGetReceiptMethod = AccountGrpc.getGetReceiptMethod) == null) {
      synchronized (AccountGrpc.class) {
        if ((getGetReceiptMethod = AccountGrpc.getGetReceiptMethod) == null) {
          AccountGrpc.getGetReceiptMethod = getGetReceiptMethod =
              io.grpc.MethodDescriptor.<inferencegateway.v1.GetReceiptRequest, inferencegateway.v1.Receipt>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "GetReceipt"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  inferencegateway.v1.GetReceiptRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  inferencegateway.v1.Receipt.getDefaultInstance()))
              .setSchemaDescriptor(new AccountMethodDescriptorSupplier("GetReceipt"))
              .build();
        }
      }
    }
    return getGetReceiptMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static AccountStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<AccountStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<AccountStub>() {
        @java.lang.Override
        public AccountStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new AccountStub(channel, callOptions);
        }
      };
    return AccountStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports all types of calls on the service
   */
  public static AccountBlockingV2Stub newBlockingV2Stub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<AccountBlockingV2Stub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<AccountBlockingV2Stub>() {
        @java.lang.Override
        public AccountBlockingV2Stub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new AccountBlockingV2Stub(channel, callOptions);
        }
      };
    return AccountBlockingV2Stub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static AccountBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<AccountBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<AccountBlockingStub>() {
        @java.lang.Override
        public AccountBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new AccountBlockingStub(channel, callOptions);
        }
      };
    return AccountBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static AccountFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<AccountFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<AccountFutureStub>() {
        @java.lang.Override
        public AccountFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new AccountFutureStub(channel, callOptions);
        }
      };
    return AccountFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Account shows callers their own tenant's limits and receipts. Any valid token may call it, and
   * nothing of another tenant is ever visible through it.
   * </pre>
   */
  public interface AsyncService {

    /**
     * <pre>
     * GetLimits reports every limit of the caller's tenant as it stands now. Asking uses nothing up.
     * </pre>
     */
    default void getLimits(inferencegateway.v1.GetLimitsRequest request,
        io.grpc.stub.StreamObserver<inferencegateway.v1.Limits> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGetLimitsMethod(), responseObserver);
    }

    /**
     * <pre>
     * GetReceipt returns one receipt. An id that does not exist and the id of another tenant's
     * receipt are answered alike, with NOT_FOUND.
     * </pre>
     */
    default void getReceipt(inferencegateway.v1.GetReceiptRequest request,
        io.grpc.stub.StreamObserver<inferencegateway.v1.Receipt> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGetReceiptMethod(), responseObserver);
    }
  }

  /**
   * Base class for the server implementation of the service Account.
   * <pre>
   * Account shows callers their own tenant's limits and receipts. Any valid token may call it, and
   * nothing of another tenant is ever visible through it.
   * </pre>
   */
  public static abstract class AccountImplBase
      implements io.grpc.BindableService, AsyncService {

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return AccountGrpc.bindService(this);
    }
  }

  /**
   * A stub to allow clients to do asynchronous rpc calls to service Account.
   * <pre>
   * Account shows callers their own tenant's limits and receipts. Any valid token may call it, and
   * nothing of another tenant is ever visible through it.
   * </pre>
   */
  public static final class AccountStub
      extends io.grpc.stub.AbstractAsyncStub<AccountStub> {
    private AccountStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected AccountStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new AccountStub(channel, callOptions);
    }

    /**
     * <pre>
     * GetLimits reports every limit of the caller's tenant as it stands now. Asking uses nothing up.
     * </pre>
     */
    public void getLimits(inferencegateway.v1.GetLimitsRequest request,
        io.grpc.stub.StreamObserver<inferencegateway.v1.Limits> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getGetLimitsMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * GetReceipt returns one receipt. An id that does not exist and the id of another tenant's
     * receipt are answered alike, with NOT_FOUND.
     * </pre>
     */
    public void getReceipt(inferencegateway.v1.GetReceiptRequest request,
        io.grpc.stub.StreamObserver<inferencegateway.v1.Receipt> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getGetReceiptMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * A stub to allow clients to do synchronous rpc calls to service Account.
   * <pre>
   * Account shows callers their own tenant's limits and receipts. Any valid token may call it, and
   * nothing of another tenant is ever visible through it.
   * </pre>
   */
  public static final class AccountBlockingV2Stub
      extends io.grpc.stub.AbstractBlockingStub<AccountBlockingV2Stub> {
    private AccountBlockingV2Stub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected AccountBlockingV2Stub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new AccountBlockingV2Stub(channel, callOptions);
    }

    /**
     * <pre>
     * GetLimits reports every limit of the caller's tenant as it stands now. Asking uses nothing up.
     * </pre>
     */
    public inferencegateway.v1.Limits getLimits(inferencegateway.v1.GetLimitsRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getGetLimitsMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * GetReceipt returns one receipt. An id that does not exist and the id of another tenant's
     * receipt are answered alike, with NOT_FOUND.
     * </pre>
     */
    public inferencegateway.v1.Receipt getReceipt(inferencegateway.v1.GetReceiptRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getGetReceiptMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do limited synchronous rpc calls to service Account.
   * <pre>
   * Account shows callers their own tenant's limits and receipts. Any valid token may call it, and
   * nothing of another tenant is ever visible through it.
   * </pre>
   */
  public static final class AccountBlockingStub
      extends io.grpc.stub.AbstractBlockingStub<AccountBlockingStub> {
    private AccountBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected AccountBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new AccountBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * GetLimits reports every limit of the caller's tenant as it stands now. Asking uses nothing up.
     * </pre>
     */
    public inferencegateway.v1.Limits getLimits(inferencegateway.v1.GetLimitsRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getGetLimitsMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * GetReceipt returns one receipt. An id that does not exist and the id of another tenant's
     * receipt are answered alike, with NOT_FOUND.
     * </pre>
     */
    public inferencegateway.v1.Receipt getReceipt(inferencegateway.v1.GetReceiptRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getGetReceiptMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do ListenableFuture-style rpc calls to service Account.
   * <pre>
   * Account shows callers their own tenant's limits and receipts. Any valid token may call it, and
   * nothing of another tenant is ever visible through it.
   * </pre>
   */
  public static final class AccountFutureStub
      extends io.grpc.stub.AbstractFutureStub<AccountFutureStub> {
    private AccountFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected AccountFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new AccountFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * GetLimits reports every limit of the caller's tenant as it stands now. Asking uses nothing up.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<inferencegateway.v1.Limits> getLimits(
        inferencegateway.v1.GetLimitsRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getGetLimitsMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * GetReceipt returns one receipt. An id that does not exist and the id of another tenant's
     * receipt are answered alike, with NOT_FOUND.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<inferencegateway.v1.Receipt> getReceipt(
        inferencegateway.v1.GetReceiptRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getGetReceiptMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_GET_LIMITS = 0;
  private static final int METHODID_GET_RECEIPT = 1;

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
        case METHODID_GET_LIMITS:
          serviceImpl.getLimits((inferencegateway.v1.GetLimitsRequest) request,
              (io.grpc.stub.StreamObserver<inferencegateway.v1.Limits>) responseObserver);
          break;
        case METHODID_GET_RECEIPT:
          serviceImpl.getReceipt((inferencegateway.v1.GetReceiptRequest) request,
              (io.grpc.stub.StreamObserver<inferencegateway.v1.Receipt>) responseObserver);
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
          getGetLimitsMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              inferencegateway.v1.GetLimitsRequest,
              inferencegateway.v1.Limits>(
                service, METHODID_GET_LIMITS)))
        .addMethod(
          getGetReceiptMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              inferencegateway.v1.GetReceiptRequest,
              inferencegateway.v1.Receipt>(
                service, METHODID_GET_RECEIPT)))
        .build();
  }

  private static abstract class AccountBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    AccountBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return inferencegateway.v1.AccountOuterClass.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("Account");
    }
  }

  private static final class AccountFileDescriptorSupplier
      extends AccountBaseDescriptorSupplier {
    AccountFileDescriptorSupplier() {}
  }

  private static final class AccountMethodDescriptorSupplier
      extends AccountBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final java.lang.String methodName;

    AccountMethodDescriptorSupplier(java.lang.String methodName) {
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
      synchronized (AccountGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new AccountFileDescriptorSupplier())
              .addMethod(getGetLimitsMethod())
              .addMethod(getGetReceiptMethod())
              .build();
        }
      }
    }
    return result;
  }
}
