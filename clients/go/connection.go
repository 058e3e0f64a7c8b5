// Package inferencegateway connects to the inference gateway as it expects of every caller: balanced,
// kept alive, with a deadline on every call and retries of UNAVAILABLE alone.
//
// The stubs are in inference-gateway.example/go/gateway/v1 and inference-gateway.example/go/deepseek.
package inferencegateway

import (
	"crypto/tls"
	_ "embed"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // watches health as the service config asks, so that none drains on us
	"google.golang.org/grpc/keepalive"
)

// ServiceConfig is how calls are balanced, retried and limited in time; it is the same file for every language.
//
//go:embed service-config.json
var ServiceConfig string

// Dial makes a connection to target, such as "dns:///gateway.example:50051", whose calls carry tokens.
//
// A loopback target is reached in plain text, every other one with TLS and the roots of the system; opts come
// last, so they may replace that. Nothing is sent before the first call.
func Dial(target string, tokens *Tokens, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	transport := credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	if loopback(target) {
		transport = insecure.NewCredentials()
	}
	all := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(perCall{tokens: tokens, plainText: loopback(target)}),
		grpc.WithDefaultServiceConfig(ServiceConfig),
		// A service config from DNS would replace the retries above.
		grpc.WithDisableServiceConfig(),
		// The gateway allows a ping every 10 s and ends connections that ping more often.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithUserAgent("gateway-client-go/" + Version),
	}
	return grpc.NewClient(target, append(all, opts...)...)
}

func loopback(target string) bool {
	address := target[strings.LastIndex(target, "/")+1:]
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
