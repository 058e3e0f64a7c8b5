package inferencegateway

import (
	"context"
	"os"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TokenSource gives a bearer token; it is asked again when the gateway refused the last one.
type TokenSource func(ctx context.Context) (string, error)

// TokenFile reads the token from a file, as an agent or a mounted secret renews it.
func TokenFile(path string) TokenSource {
	return func(context.Context) (string, error) {
		text, err := os.ReadFile(path)
		return strings.TrimSpace(string(text)), err
	}
}

// Tokens is the token that calls carry now and the source of the next one. It is safe for concurrent use.
type Tokens struct {
	source  TokenSource
	mutex   sync.Mutex
	current string
}

// NewTokens starts with a token, or with none: then the first call asks the source.
func NewTokens(source TokenSource, current string) *Tokens {
	return &Tokens{source: source, current: current}
}

// Renew replaces the token by a fresh one from the source.
func (t *Tokens) Renew(ctx context.Context) error {
	fresh, err := t.source(ctx)
	if err != nil {
		return err
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.current = fresh
	return nil
}

// WithRenewal makes the call, and makes it once more with a fresh token if the gateway refused the first one.
//
// A refused call was never let in, so nothing of it was delivered or charged.
func (t *Tokens) WithRenewal(ctx context.Context, call func(context.Context) error) error {
	err := call(ctx)
	if status.Code(err) != codes.Unauthenticated {
		return err
	}
	if renewal := t.Renew(ctx); renewal != nil {
		return renewal
	}
	return call(ctx)
}

func (t *Tokens) bearer(ctx context.Context) (string, error) {
	t.mutex.Lock()
	current := t.current
	t.mutex.Unlock()
	if current != "" {
		return current, nil
	}
	if err := t.Renew(ctx); err != nil {
		return "", err
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.current, nil
}

type perCall struct {
	tokens    *Tokens
	plainText bool
}

// GetRequestMetadata puts the token into the metadata of one call.
func (c perCall) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := c.tokens.bearer(ctx)
	if err != nil {
		return nil, status.Errorf(codes.Unauthenticated, "no token: %v", err)
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity keeps tokens off plain text, except on this machine.
func (c perCall) RequireTransportSecurity() bool { return !c.plainText }
