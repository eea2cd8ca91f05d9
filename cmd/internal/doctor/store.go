package doctor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"lhsm-azblob/blobstore"
)

// A store is the container of some archive ids.
type store struct {
	archive Archive
	options blobstore.PoolOptions
	// container is set by the check "credential", for those that need it.
	container *blobstore.Container

	mu    sync.Mutex      // guards skews
	skews []time.Duration // of the service's clock against ours, one for each answer

	scratch scratch
}

func newStore(a Archive, o blobstore.PoolOptions) *store { return &store{archive: a, options: o} }

// checks are in the order in which they are reported. Those that move the scratch
// blob need all permissions, so that nothing is left behind.
func (s *store) checks() []Check {
	checks := []Check{
		{Name: "credential", run: s.credential, advice: "correct the container's URL or its credential"},
		{
			Name: "reach", needs: []string{"credential"}, run: s.reach,
			advice: "check the URL, DNS, firewall, proxy and private endpoint",
		},
	}
	all := []string{"reach"}
	for _, p := range blobstore.Permissions {
		checks = append(checks, Check{
			Name: string(p), needs: []string{"reach"}, run: s.may(p),
			advice: "give the identity the role Storage Blob Data Contributor on the container, or a SAS with racwdl",
		})
		all = append(all, string(p))
	}
	checks = append(checks, []Check{
		{Name: "clock", needs: []string{"reach"}, run: s.clock, advice: "let chrony or systemd-timesyncd set this machine's clock"},
		{Name: "account", needs: []string{"reach"}, run: s.account},
		{Name: "immutability", needs: []string{"reach"}, run: s.immutability},
		{Name: "transfer", needs: all, run: s.transfer, limit: transferLimit, advice: "look at the network between this machine and the account, and at bandwidth in the configuration"},
		{Name: "tier", needs: []string{"transfer"}, run: s.tier},
		{Name: "versioning", needs: []string{"transfer"}, run: s.versioning},
		{Name: "soft-delete", needs: []string{"transfer"}, run: s.softDelete},
		{Name: "tags", needs: []string{"transfer"}, run: s.tags},
	}...)
	for i := range checks {
		checks[i].Subject = s.archive.subject()
	}
	return checks
}

// expirySoon is when the end of a SAS is near: the copytool's log says so from
// then on, too.
const expirySoon = 7 * 24 * time.Hour

func (s *store) credential(context.Context) result {
	o := s.options
	o.Observe = s.observe
	container, err := blobstore.Open(s.archive.Container, blobstore.NewPool(o))
	if err != nil {
		return failed(err)
	}
	s.container = container
	end, ok := container.CredentialExpiry()
	left := time.Until(end)
	const renew = "put a new SAS into its place; the copytool reads the file again"
	switch date := end.UTC().Format(time.RFC3339); {
	case !ok:
		return okf("%s", container.URL())
	case left <= 0:
		return failf(renew, "the SAS expired at %s", date)
	case left < expirySoon:
		return warnf(renew, "the SAS ends in %s, at %s", left.Round(time.Minute), date)
	default:
		return okf("%s; the SAS ends in %d days, at %s", container.URL(), left/(24*time.Hour), date)
	}
}

// observe notes the clock of the service.
func (s *store) observe(e blobstore.RequestEvent) {
	if e.Date.IsZero() || e.Op == "token" {
		return
	}
	// The answer's head was written between the request and now, and the date has
	// lost its fraction of a second.
	middle := time.Now().Add(-e.Duration / 2)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skews = append(s.skews, e.Date.Add(500*time.Millisecond).Sub(middle))
}

// latencyTries are enough for a median: the first opens the connection.
const latencyTries = 7

// reach asks for a blob that is not there. An answer that denies it is one, too.
func (s *store) reach(ctx context.Context) result {
	var times []time.Duration
	for range latencyTries {
		start := time.Now()
		err := s.container.CheckPermission(ctx, blobstore.MayRead)
		times = append(times, time.Since(start))
		if err != nil && !errors.Is(err, blobstore.ErrPermission) {
			return failed(err)
		}
	}
	first := times[0]
	slices.Sort(times)
	return okf("answers in %s; the first time, with the connection, in %s", milliseconds(times[len(times)/2]), milliseconds(first))
}

func milliseconds(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }

func (s *store) may(p blobstore.Permission) func(context.Context) result {
	return func(ctx context.Context) result {
		if err := s.container.CheckPermission(ctx, p); err != nil {
			return failed(err)
		}
		return okf("allowed")
	}
}

// Bounds of clocks: what is signed with one that is off by 15 minutes is refused.
const (
	skewNoticed = 30 * time.Second
	skewTooMuch = 10 * time.Minute
)

func (s *store) clock(context.Context) result {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.skews) == 0 {
		return notef("", "the service does not say what time it is")
	}
	slices.Sort(s.skews)
	skew := -s.skews[len(s.skews)/2]
	text := "this machine's clock is " + skew.Abs().Round(time.Second).String()
	if skew < 0 {
		text += " behind the service's"
	} else {
		text += " ahead of the service's"
	}
	switch {
	case skew.Abs() > skewTooMuch:
		return failf("", "%s; requests signed with it are refused", text)
	case skew.Abs() > skewNoticed:
		return warnf("", "%s", text)
	case skew.Abs() < 2*time.Second:
		return okf("this machine's clock agrees with the service's")
	}
	return okf("%s", text)
}

func (s *store) account(ctx context.Context) result {
	info, err := s.container.AccountInfo(ctx)
	if err != nil {
		return notef("az storage account show --name "+s.container.Account(), "this credential may not see what the account is: %v", failed(err).seen)
	}
	space := "flat namespace"
	if info.HierarchicalNamespace {
		space = "hierarchical namespace"
	}
	if s.archive.Container.Tier != "" && info.Kind == "BlockBlobStorage" {
		return failf("take access_tier out of the configuration", "%s %s has no access tiers, and access_tier is %s", info.Kind, info.SKU, s.archive.Container.Tier)
	}
	return okf("%s, %s, %s", info.Kind, info.SKU, space)
}

func (s *store) immutability(ctx context.Context) result {
	p, err := s.container.Protection(ctx)
	switch {
	case err != nil:
		return notef("az storage container show --name "+s.container.ContainerName()+" --account-name "+s.container.Account(),
			"this credential may not see the container's properties: %v", failed(err).seen)
	case p.Policy || p.LegalHold:
		what := "a retention policy"
		if p.LegalHold {
			what = "a legal hold"
		}
		return warnf("expect BlobImmutable of changed files and of hsm_remove until it ends, or archive to another container",
			"%s protects the container: archived files can be neither replaced nor removed", what)
	case p.PerVersion:
		return notef("", "policies and holds may be on single versions of blobs")
	}
	return okf("blobs may be replaced and deleted")
}
