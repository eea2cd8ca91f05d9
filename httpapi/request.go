package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of a body. A list of files is long: a million paths are some 100 MB.
const (
	smallBody = 64 << 10
	filesBody = 256 << 20
	// bodyTime is how long a client may take to send its body.
	bodyTime = 5 * time.Minute
)

// decode reads a body of JSON into v. No body at all leaves v as it is.
func decode(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	switch {
	case r.ContentLength == 0:
		return nil
	case r.ContentLength > limit: // known before it is sent
		return bodyProblem(&http.MaxBytesError{Limit: limit}, limit)
	}
	until := time.Now().Add(bodyTime)
	await(w, until)
	within(w, bodyTime+writeTime) // reading may write: 100 Continue
	defer within(w, 0)
	err := decodeAll(w, r, limit, v)
	if rest := time.Now().Add(readTime); err != nil && rest.Before(until) {
		await(w, rest)
	}
	return err
}

// decodeAll reads a body to its end, unless there is something wrong with it.
func decodeAll(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/json" {
		return problem(http.StatusUnsupportedMediaType, UnsupportedMedia, "send the body as JSON, with Content-Type: application/json")
	}
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			return problem(http.StatusBadRequest, InvalidRequest, "the body goes on after its JSON value")
		}
		return nil
	}
	return bodyProblem(err, limit)
}

// bodyProblem says what is wrong with a body, and with which field.
func bodyProblem(err error, limit int64) error {
	var tooLarge *http.MaxBytesError
	var wrongType *json.UnmarshalTypeError
	const unknown = "json: unknown field "
	switch text := err.Error(); {
	case errors.As(err, &tooLarge):
		return problem(http.StatusRequestEntityTooLarge, TooLarge, "the body is longer than %d bytes", limit)
	case errors.As(err, &wrongType):
		return invalid(wrongType.Field, "%s cannot be a %s", wrongType.Field, wrongType.Value)
	case strings.HasPrefix(text, unknown):
		name := strings.Trim(strings.TrimPrefix(text, unknown), `"`)
		p := problem(http.StatusBadRequest, UnknownField, "there is no field %q here", name)
		p.Field = name
		return p
	}
	return problem(http.StatusBadRequest, InvalidRequest, "the body is no JSON that fits: %v", err)
}

// query reads the parameters of a request and refuses those not named: a
// misspelt one must not be a silent default.
func query(r *http.Request, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem(http.StatusBadRequest, InvalidRequest, "the query cannot be read: %v", err)
	}
	for name := range q {
		if !slices.Contains(known, name) {
			p := problem(http.StatusBadRequest, UnknownField, "there is no parameter %q here", name)
			p.Field = name
			return nil, p
		}
	}
	return q, nil
}

// number reads a parameter from least to most; without it, it is def.
func number(q url.Values, name string, def, least, most int64) (int64, error) {
	text := q.Get(name)
	if text == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		return 0, invalid(name, "%s has to be a number from %d to %d", name, least, most)
	}
	return n, nil
}

// choice reads a parameter that has few values, the first of which is the default.
func choice(q url.Values, name string, values ...string) (string, error) {
	text := q.Get(name)
	if text == "" {
		return values[0], nil
	}
	if !slices.Contains(values, text) {
		return "", invalid(name, "%s has to be one of %s", name, strings.Join(values, ", "))
	}
	return text, nil
}

// jobID reads the id in the path of a request.
func jobID(r *http.Request) (int64, error) {
	text := r.PathValue("id")
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, problem(http.StatusNotFound, JobNotFound, "%q is no job: ids are numbers from 1", text)
	}
	return id, nil
}
