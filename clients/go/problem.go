package inferencegateway

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Problem is a failed call in the gateway's own words.
type Problem struct {
	Code    codes.Code
	Message string
	// Reason is a stable word such as RATE_LIMITED; it is empty when no gateway answered.
	Reason string
	// Facts are the metadata of ErrorInfo: request_id and retryable always, receipt_id once there is one.
	Facts map[string]string
	// RetryAfter is how long to wait before the next try; it is nil when waiting does not help.
	RetryAfter *time.Duration
	// Fields says what is wrong with which field of the request, by its proto path.
	Fields map[string]string
}

// ProblemOf reads the status of a failed call and its google.rpc details.
func ProblemOf(err error) Problem {
	found := status.Convert(err)
	problem := Problem{Code: found.Code(), Message: found.Message(), Fields: map[string]string{}}
	for _, detail := range found.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			problem.Reason, problem.Facts = detail.Reason, detail.Metadata
		case *errdetails.RetryInfo:
			wait := detail.RetryDelay.AsDuration()
			problem.RetryAfter = &wait
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				problem.Fields[violation.Field] = violation.Description
			}
		}
	}
	return problem
}
