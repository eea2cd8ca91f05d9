package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"lhsm-azblob/testenv/gate"
)

// A storageFault is something that goes wrong between copytool and storage.
// None makes the storage lie about what it has done, or what it holds: nobody
// can stand that.
type storageFault struct {
	name string
	at   func(*http.Request) bool
	do   gate.Spoiler
}

func isAny(*http.Request) bool   { return true }
func isPut(r *http.Request) bool { return r.Method == http.MethodPut }
func isGet(r *http.Request) bool { return r.Method == http.MethodGet }
func isWrite(r *http.Request) bool {
	return r.Method == http.MethodPut || r.Method == http.MethodDelete
}

var storageFaults = []storageFault{
	{"503", isAny, gate.Refuse(503, "ServerBusy")},
	{"500", isAny, gate.Refuse(500, "InternalError")},
	{"502 of a proxy", isAny, gate.Refuse(502, "")},
	{"no answer", isAny, gate.HangUp},
	{"reset in the body", isAny, gate.ResetInBody},
	{"truncated answer", isAny, gate.Truncate},
	{"lost answer", isAny, gate.LoseAnswer},
	{"403", isAny, gate.Refuse(403, "AuthorizationFailure")},
	{"404 of the container", isAny, gate.Refuse(404, "ContainerNotFound")},
	{"409 archive tier", isGet, gate.Refuse(409, "BlobArchived")},
	{"409 immutable", isWrite, gate.Refuse(409, "BlobImmutableDueToPolicy")},
	{"412 lease", isWrite, gate.Refuse(412, "LeaseIdMissing")},
	{"412 condition", isPut, gate.Refuse(412, "ConditionNotMet")},
	{"413", isPut, gate.Refuse(413, "RequestBodyTooLarge")},
	{"damaged body", isPut, gate.DamageBody},
	{"damaged answer", isGet, gate.DamageAnswer},
	{"longer answer", isGet, gate.ClaimLength(+10)},
	{"shorter answer", isGet, gate.ClaimLength(-10)},
	{"range forgotten", isGet, gate.ReplyWhole},
	{"other ETag", isGet, gate.OtherETag},
	{"login page", isGet, gate.LoginPage},
	{"delay", isAny, delay(300 * time.Millisecond)},
	{"stall", isAny, delay(4 * time.Second)},
}

// delay lets a request arrive late.
func delay(d time.Duration) gate.Spoiler {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if pause(r.Context(), d) {
			next.ServeHTTP(w, r)
		}
	}
}

// spoilStorage injects faults one after the other, and from time to time one
// that nothing gets past.
func (w *world) spoilStorage(ctx context.Context, r *rand.Rand) error {
	defer w.gate.Heal()
	for pause(ctx, time.Duration(r.Int64N(int64(w.o.Calm/5)))) {
		f := storageFaults[r.IntN(len(storageFaults))]
		times := 1 + r.IntN(4)
		if r.IntN(10) == 0 {
			times = -1
		}
		armed := w.gate.Fault(f.at, times, f.do)
		pause(ctx, time.Duration(r.Int64N(int64(2*time.Second))))
		w.gate.Heal()
		if n := w.gate.Hits(armed); n > 0 {
			w.seen.add(injected, f.name, n)
			w.log.add("fault", fmt.Sprintf("%s, %d times", f.name, n), nil)
		}
	}
	return nil
}

// A lustreFault is a call of Lustre that fails. Calls that change names are not
// among them, since then nobody would know which name a file has.
type lustreFault struct {
	op     string
	errnos []string
}

var lustreFaults = []lustreFault{
	{"read", []string{"EIO", "EINTR"}},
	{"write", []string{"EIO", "ENOSPC", "EDQUOT"}},
	{"fsync", []string{"EIO"}},
	{"data_version", []string{"EIO", "EBUSY"}},
	{"begin", []string{"EIO", "ENOMEM", "EBUSY"}},
	{"progress", []string{"EAGAIN", "EIO", "EINTR"}},
	{"end", []string{"EIO", "EAGAIN", "ENOMEM"}},
	{"open", []string{"EIO", "EMFILE"}},
	{"setxattr", []string{"EIO", "ENOSPC"}},
	{"removexattr", []string{"EIO"}},
	{"swap_layouts", []string{"EIO"}},
	{"state_get", []string{"EIO"}},
	{"request", []string{"EAGAIN", "EIO"}},
	{"register", []string{"EIO"}},
	{"fid2path", []string{"EIO"}},
	{"mdt_index", []string{"EIO"}},
	{"pipe-split", nil},
	{"pipe-garbage", nil},
	{"pipe-close", nil},
	{"pipe-shutdown", nil},
}

// spoilLustre arms faults that hit whoever comes by: copytools and users. What
// nobody has met by the next one is taken away: if faults of the copytools' pipes
// piled up, no list of actions would get through any more.
func (w *world) spoilLustre(ctx context.Context, r *rand.Rand) error {
	for pause(ctx, time.Duration(r.Int64N(int64(w.o.Calm/3)))) {
		f := lustreFaults[r.IntN(len(lustreFaults))]
		args := []string{"fault", "add", f.op, "count=" + strconv.Itoa(1+r.IntN(3))}
		if f.errnos != nil {
			args = append(args, "errno="+f.errnos[r.IntN(len(f.errnos))])
		}
		if r.IntN(4) == 0 && f.errnos != nil {
			args[4] = "delay=700ms"
		}
		if _, err := w.lustre(context.WithoutCancel(ctx), "fault", "clear"); err != nil {
			return err
		}
		if _, err := w.lustre(context.WithoutCancel(ctx), args...); err != nil {
			return err
		}
		w.seen.count(injected, f.op)
		w.log.add("fault", fmt.Sprint(args[2:]), nil)
	}
	_, err := w.lustre(context.WithoutCancel(ctx), "fault", "clear")
	return err
}

// restartServer lets the blob server vanish in the midst of everything. It ends
// in good order, though: killed, Azurite forgets what it has acknowledged.
func (w *world) restartServer(ctx context.Context, r *rand.Rand) error {
	u, err := url.Parse(w.server.Endpoint)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return err
	}
	w.gate.Cut()
	defer w.gate.Mend()
	w.server.Shutdown()
	pause(ctx, time.Duration(r.Int64N(int64(3*time.Second))))
	return w.runServer(ctx, port)
}
