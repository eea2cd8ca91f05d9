// Package httpapi is the face of the job service: a JSON API under /v1, the
// same jobs in the words of the managed service, and the web page "Blob
// integration".
//
// It knows HTTP and nothing of Lustre. What a job is and does is decided in
// package jobs, of which it needs the [Jobs] interface; all here is to refuse
// what is malformed, to ask, and to say the answer.
//
// # The contract
//
// openapi.json describes every route and every response. It is served at
// /v1/openapi.json, and a test walks it against the handlers in both
// directions, so neither can say what the other does not. Fields are added and
// never renamed. An error is a [Problem] (RFC 9457) with a stable code.
//
// A path of Lustre is bytes, and JSON is text. A path that is no UTF-8 is
// written with %XX for those bytes and for %, and the object that holds it has
// pathsEscaped set; requests say the same in the same way.
//
// # Who may ask
//
// [Server.Handler] takes an [Access]. A Unix socket needs none: the permissions
// of the socket have decided. Over TCP a request has to carry the token as a
// bearer, or a session that was given for it ([Access.Token]), or come with a
// client certificate that the TLS layer has verified. A session is a cookie
// that the page needs because an EventSource cannot send a header; it is
// derived from the token, so it outlives a restart of the service and ends with
// the token. Changing requests of a browser must come from the page itself.
//
// # Streams
//
// An event stream sends whole jobs, never differences, so nothing is lost
// between two connections: who connects again gets the present state, unless
// the id of the last event shows that it is known. Streams and reports end with
// their request, and a client that does not read is cut off.
package httpapi
