// Command example does what every caller needs, one step after the other, or only the steps that it is given:
//
//	go run ./example                 # all but the last
//	go run ./example answer cancel deadline error renew limit
//
// It reads GATEWAY_GRPC_TARGET (127.0.0.1:50051) and the token in GATEWAY_TOKEN_FILE (.gateway/dev-token).
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	gateway "inference-gateway.example/go"
	pb "inference-gateway.example/go/gateway/v1"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const question = "how does the gateway meter a broken stream?"

type example struct {
	target string
	source gateway.TokenSource
	calls  pb.InferenceClient
	limits pb.AccountClient
}

func main() {
	log.SetFlags(0)
	target := cmp.Or(os.Getenv("GATEWAY_GRPC_TARGET"), "127.0.0.1:50051")
	source := gateway.TokenFile(cmp.Or(os.Getenv("GATEWAY_TOKEN_FILE"), ".gateway/dev-token"))
	connection, err := gateway.Dial(target, gateway.NewTokens(source, ""))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	e := example{target, source, pb.NewInferenceClient(connection), pb.NewAccountClient(connection)}
	steps := map[string]func(context.Context) error{
		"answer": e.answer, "cancel": e.cancel, "deadline": e.deadline, "error": e.problem, "renew": e.renew,
		"limit": e.limit,
	}
	names := os.Args[1:]
	if len(names) == 0 {
		names = []string{"answer", "cancel", "deadline", "error", "renew"}
	}
	for _, name := range names {
		step, known := steps[name]
		if !known {
			log.Fatalf("no step %q", name)
		}
		// No call without a deadline: the service config has one as well, and the nearer one holds.
		ctx, done := context.WithTimeout(context.Background(), 2*time.Minute)
		if err := step(ctx); err != nil {
			log.Fatalf("%s: %v", name, err)
		}
		done()
	}
}

// turn is a question with an id of its own, so that a repeat of the same call is never charged twice.
func turn(prompt string) *pb.Turn {
	return &pb.Turn{TurnId: rand.Text(), Prompt: prompt}
}

// answer streams one answer with the sources that it rests on.
func (e example) answer(ctx context.Context) error {
	asked := turn(question)
	asked.Search = &pb.SearchOptions{Mode: pb.SearchMode_SEARCH_MODE_ALWAYS}
	stream, err := e.calls.Generate(ctx, asked)
	if err != nil {
		return err
	}
	fmt.Print("answer: ")
	var sources []*pb.Source
	for {
		frame, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch kind := frame.Frame.(type) {
		case *pb.ServerFrame_Delta:
			fmt.Print(kind.Delta.Text)
		case *pb.ServerFrame_Search:
			sources = append(sources, kind.Search.Sources...)
		case *pb.ServerFrame_End:
			fmt.Printf("\nreceipt: %s %s\n", kind.End.ReceiptId, kind.End.Finish)
		}
	}
	for _, source := range sources {
		fmt.Printf("source: %s %s %s\n", source.SourceId, source.Title, source.Url)
	}
	return nil
}

// cancel leaves after the first words: the model stops, and only what had arrived is charged.
func (e example) cancel(ctx context.Context) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	stream, err := e.calls.Generate(ctx, turn("count slowly"))
	for err == nil {
		var frame *pb.ServerFrame
		if frame, err = stream.Recv(); err == nil && frame.GetDelta().GetText() != "" {
			leave()
		}
	}
	if errors.Is(err, io.EOF) {
		fmt.Println("cancel: the answer had ended before")
		return nil
	}
	if status.Code(err) != codes.Canceled {
		return err
	}
	fmt.Println("cancel: CANCELLED")
	return nil
}

// deadline allows a call less time than any answer takes.
func (e example) deadline(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, time.Millisecond)
	defer done()
	_, err := e.calls.Complete(ctx, turn("count slowly"))
	if status.Code(err) != codes.DeadlineExceeded {
		return fmt.Errorf("expected DEADLINE_EXCEEDED: %w", err)
	}
	fmt.Println("deadline: DEADLINE_EXCEEDED")
	return nil
}

// problem reads why a call was refused.
func (e example) problem(ctx context.Context) error {
	asked := turn(question)
	asked.Model = "no-such-model"
	_, err := e.calls.Complete(ctx, asked)
	if err == nil {
		return errors.New("a model that does not exist has answered")
	}
	why := gateway.ProblemOf(err)
	fmt.Printf("error: %s %s retryable=%s: %s\n", why.Code, why.Reason, why.Facts["retryable"], why.Message)
	return nil
}

// renew starts with a token that has run out, as after a long pause, and goes on with a fresh one.
func (e example) renew(ctx context.Context) error {
	renewals := 0
	tokens := gateway.NewTokens(func(ctx context.Context) (string, error) {
		renewals++
		return e.source(ctx)
	}, "a-token-that-has-run-out")
	connection, err := gateway.Dial(e.target, tokens)
	if err != nil {
		return err
	}
	defer connection.Close()
	return tokens.WithRenewal(ctx, func(ctx context.Context) error {
		models, err := pb.NewInferenceClient(connection).ListModels(ctx, &pb.ListModelsRequest{})
		if err == nil {
			fmt.Printf("renew: %d renewal, then %d models\n", renewals, len(models.Models))
		}
		return err
	})
}

// limit asks until the tenant's limit says no, and reads how long to wait. It uses the whole minute's allowance.
func (e example) limit(ctx context.Context) error {
	limits, err := e.limits.GetLimits(ctx, &pb.GetLimitsRequest{})
	if err != nil {
		return err
	}
	var left int64
	for _, allowance := range limits.Allowances {
		if allowance.Dimension == "requests_per_minute" {
			left = allowance.Remaining
		}
	}
	for range left + 100 {
		if _, err := e.calls.Complete(ctx, turn(question)); err != nil {
			why := gateway.ProblemOf(err)
			if why.RetryAfter == nil {
				return err
			}
			fmt.Printf("limit: %s %s, again in %d ms\n", why.Code, why.Reason, why.RetryAfter.Milliseconds())
			return nil
		}
	}
	return errors.New("nothing was refused")
}
