package state

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// params are the tunables, guarded by FS.mu.
type params struct {
	fs        *FS
	table     []param
	set       map[string]string // what was set, by short name; kept over a restart of the daemon
	permanent map[string]string // what was set for good; kept over a restart of the MDT too

	loopPeriod         time.Duration
	graceDelay         time.Duration
	activeTimeout      time.Duration
	maxRequests        int
	defaultArchive     uint32
	removeOnUnlink     bool
	nonBlockingRestore bool
	noRetryAction      bool
	masks              [3]actionMask // who may request what, without privilege
	changelogMask      changeMask
	changelogGC        int
	changelogIdle      int
}

// Indexes of params.masks.
const (
	maskUser = iota
	maskGroup
	maskOther
)

// A param is one tunable. Its short name leaves out the device:
// "mdt.hsm.max_requests" is mdt.<fsname>-MDT0000.hsm.max_requests.
type param struct {
	name string
	dir  string // where lctl says it writes to
	get  func(*FS) string
	set  func(*FS, string) error // nil: read-only
}

const (
	sysfs   = "/sys/fs/lustre/"
	debugfs = "/sys/kernel/debug/lustre/"
)

// newParamTable lists the tunables in the order in which lctl lists a directory.
func newParamTable() []param {
	return []param{
		{"mdt.hsm_control", sysfs, func(fs *FS) string { return string(fs.cdt.state) }, func(fs *FS, v string) error { return fs.cdt.setControl(v) }},
		{"mdt.hsm.active_request_timeout", sysfs, duration(func(p *params) *time.Duration { return &p.activeTimeout }), setDuration(func(p *params) *time.Duration { return &p.activeTimeout })},
		{"mdt.hsm.archive_count", sysfs, runningCount(ActionArchive), nil},
		{"mdt.hsm.default_archive_id", sysfs, func(fs *FS) string { return strconv.Itoa(int(fs.params.defaultArchive)) }, setArchiveID},
		{"mdt.hsm.grace_delay", sysfs, duration(func(p *params) *time.Duration { return &p.graceDelay }), setDuration(func(p *params) *time.Duration { return &p.graceDelay })},
		{"mdt.hsm.loop_period", sysfs, duration(func(p *params) *time.Duration { return &p.loopPeriod }), setDuration(func(p *params) *time.Duration { return &p.loopPeriod })},
		{"mdt.hsm.max_requests", sysfs, func(fs *FS) string { return strconv.Itoa(fs.params.maxRequests) }, setMaxRequests},
		{"mdt.hsm.remove_archive_on_last_unlink", sysfs, func(fs *FS) string { return strconv.Itoa(int(bit(fs.params.removeOnUnlink, 1))) }, setRemoveOnUnlink},
		{"mdt.hsm.remove_count", sysfs, runningCount(ActionRemove), nil},
		{"mdt.hsm.restore_count", sysfs, runningCount(ActionRestore), nil},
		{"mdt.hsm.actions", debugfs, (*FS).actionsText, nil},
		{"mdt.hsm.active_requests", debugfs, (*FS).activeText, nil},
		{"mdt.hsm.agents", debugfs, (*FS).agentsText, nil},
		{"mdt.hsm.group_request_mask", debugfs, mask(maskGroup), setMask(maskGroup)},
		{"mdt.hsm.other_request_mask", debugfs, mask(maskOther), setMask(maskOther)},
		{"mdt.hsm.policy", debugfs, (*FS).policyText, setPolicy},
		{"mdt.hsm.user_request_mask", debugfs, mask(maskUser), setMask(maskUser)},
		{"mdd.changelog_current_mask", debugfs, func(fs *FS) string { return fs.changes.mask().String() }, nil},
		{"mdd.changelog_gc", sysfs, func(fs *FS) string { return strconv.Itoa(fs.params.changelogGC) }, setInt(func(p *params) *int { return &p.changelogGC })},
		{"mdd.changelog_mask", debugfs, func(fs *FS) string { return fs.params.changelogMask.String() }, setChangelogMask},
		{"mdd.changelog_max_idle_time", sysfs, func(fs *FS) string { return strconv.Itoa(fs.params.changelogIdle) }, setInt(func(p *params) *int { return &p.changelogIdle })},
		{"mdd.changelog_size", sysfs, func(fs *FS) string { return strconv.Itoa(fs.changes.size) }, nil},
		{"mdd.changelog_users", debugfs, (*FS).changelogUsersText, nil},
	}
}

// defaults are those of a fresh Lustre.
func (p *params) defaults() {
	p.loopPeriod = 10 * time.Second
	p.graceDelay = 60 * time.Second
	p.activeTimeout = time.Hour
	p.maxRequests = 3
	p.defaultArchive = 1
	p.removeOnUnlink = false
	p.changelogMask = maskMark
	p.changelogGC, p.changelogIdle = 1, 2592000
	p.coordinatorDefaults()
}

func (p *params) coordinatorDefaults() {
	p.nonBlockingRestore, p.noRetryAction = false, true
	p.masks = [3]actionMask{maskOf(ActionRestore), maskOf(ActionRestore), maskOf(ActionRestore)}
}

func (p *params) init(fs *FS) {
	p.fs, p.table = fs, newParamTable()
	p.set, p.permanent = make(map[string]string), make(map[string]string)
	p.defaults()
}

// fullName puts the device into a short name.
func (p *param) fullName(fs *FS) string {
	family, rest, _ := strings.Cut(p.name, ".")
	device := fs.MDTName()
	return family + "." + device + "." + rest
}

// matchParams finds tunables by name; every part may be a shell pattern.
func (fs *FS) matchParams(pattern string) []*param {
	pattern = strings.ReplaceAll(pattern, ".", "/")
	var found []*param
	for n := range fs.params.table {
		p := &fs.params.table[n]
		if ok, _ := path.Match(pattern, strings.ReplaceAll(p.fullName(fs), ".", "/")); ok {
			found = append(found, p)
		}
	}
	return found
}

// ParamError is what lctl would print to standard error, and exit with.
type ParamError struct {
	Text  string
	Errno syscall.Errno
}

func (e *ParamError) Error() string { return e.Text }

// Unwrap gives the errno.
func (e *ParamError) Unwrap() error { return e.Errno }

// GetParam gives the text that lctl get_param prints for a name, which may have
// wildcards: "name=value" and a newline for a value of one line; for a longer
// one "name=", a newline, and the lines. The error is a [*ParamError].
func (fs *FS) GetParam(pattern string) (string, error) {
	fs.begin()
	defer fs.end()
	found := fs.matchParams(pattern)
	if len(found) == 0 {
		return "", noParam("get_param", pattern)
	}
	var b strings.Builder
	for _, p := range found {
		value := p.get(fs)
		if strings.Contains(value, "\n") {
			value = "\n" + value
		}
		fmt.Fprintf(&b, "%s=%s\n", p.fullName(fs), value)
	}
	return b.String(), nil
}

func noParam(command, pattern string) error {
	slashed := strings.ReplaceAll(pattern, ".", "/")
	return &ParamError{fmt.Sprintf("error: %s: param_path '%s': %s", command, slashed, strerror(syscall.ENOENT)), syscall.ENOENT}
}

// SetParam carries out lctl set_param for "name=value", where name may have
// wildcards, and returns what it prints; with permanent (-P) the value outlives
// [FS.RestartCoordinator]. Times are in seconds; "250ms" and the like are
// understood too. The error is a [*ParamError].
func (fs *FS) SetParam(assignment string, permanent bool) (string, error) {
	pattern, value, ok := strings.Cut(assignment, "=")
	if !ok {
		return "", &ParamError{fmt.Sprintf("error: set_param: setting '%s': %s", assignment, strerror(syscall.EINVAL)), syscall.EINVAL}
	}
	fs.begin()
	defer fs.end()
	found := fs.matchParams(pattern)
	if len(found) == 0 {
		return "", noParam("set_param", pattern)
	}
	var b strings.Builder
	for _, p := range found {
		if err := fs.assign(p, value, permanent); err != nil {
			return "", setError(fs, p, pattern, value, err)
		}
		if !permanent {
			fmt.Fprintf(&b, "%s=%s\n", p.fullName(fs), value)
		}
	}
	return b.String(), nil
}

func setError(fs *FS, p *param, pattern, value string, err error) error {
	errno := Errno(err)
	file := p.dir + strings.ReplaceAll(p.fullName(fs), ".", "/")
	slashed := strings.ReplaceAll(pattern, ".", "/")
	text := fmt.Sprintf("error: set_param: setting %s=%s: %s\nerror: set_param: setting '%s'='%s': %s",
		file, value, strerror(errno), slashed, value, strerror(errno))
	return &ParamError{text, errno}
}

// strerror is C's, which lctl prints: Go's message with a capital.
func strerror(e syscall.Errno) string {
	s := e.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

func (fs *FS) assign(p *param, value string, permanent bool) error {
	if p.set == nil {
		return syscall.EACCES
	}
	if err := p.set(fs, value); err != nil {
		return err
	}
	// Commands are not values, and masks and policies may be relative ("+NBR"):
	// what is kept is what the tunable says now.
	fs.params.remember(p.name, p.get(fs), permanent)
	return nil
}

func (p *params) remember(name, value string, permanent bool) {
	p.set[name] = value
	if permanent {
		p.permanent[name] = value
	}
	p.encode(&p.fs.tx, name)
}

func (p *params) encode(e *encoder, name string) {
	now, isSet := p.set[name]
	value, forGood := p.permanent[name]
	e.op(opParam)
	e.str(name)
	e.u64(bit(isSet, 1))
	e.str(now)
	e.u64(bit(forGood, 1))
	e.str(value)
}

// apply replays opParam; what it means is looked at when everything is loaded.
func (p *params) apply(d *decoder) {
	name := d.str()
	isSet, now := d.u64(), d.str()
	forGood, value := d.u64(), d.str()
	if d.err != nil {
		return
	}
	delete(p.set, name)
	if isSet != 0 {
		p.set[name] = now
	}
	if forGood != 0 {
		p.permanent[name] = value
	}
}

func (p *params) dump(e *encoder) {
	for _, name := range slices.Sorted(maps.Keys(p.set)) {
		p.encode(e, name)
	}
}

// initial sets the tunables of Options that this file system did not have set
// before. hsm_control comes first, since the start of the coordinator resets
// others.
func (p *params) initial(wanted map[string]string) error {
	for _, control := range []bool{true, false} {
		for _, pattern := range slices.Sorted(maps.Keys(wanted)) {
			if strings.HasSuffix(pattern, "hsm_control") != control {
				continue
			}
			if err := p.setInitial(pattern, wanted[pattern]); err != nil {
				return fmt.Errorf("set initial tunable: %w", err)
			}
		}
	}
	return nil
}

func (p *params) setInitial(pattern, value string) error {
	found := p.fs.matchParams(pattern)
	if len(found) == 0 {
		return noParam("set_param", pattern)
	}
	for _, one := range found {
		if _, have := p.set[one.name]; have {
			continue
		}
		err := p.fs.assign(one, value, true)
		if err != nil && !errors.Is(err, syscall.EALREADY) { // "shutdown" of what is stopped
			return setError(p.fs, one, pattern, value, err)
		}
	}
	return nil
}

// startCoordinator resets what the coordinator resets whenever it starts.
func (p *params) startCoordinator() {
	p.coordinatorDefaults()
	for n := range p.table {
		one := &p.table[n]
		if one.name != "mdt.hsm.policy" && !strings.HasSuffix(one.name, "_request_mask") {
			continue
		}
		delete(p.set, one.name)
		if value, ok := p.permanent[one.name]; ok {
			p.set[one.name] = value
			if err := one.set(p.fs, value); err != nil {
				p.fs.logger.Error("cannot set tunable", "name", one.name, "value", value, "err", err)
			}
		}
		p.encode(&p.fs.tx, one.name)
	}
}

// reboot gives every tunable the value it has when the MDT starts.
func (p *params) reboot() {
	before := p.set
	p.set = maps.Clone(p.permanent)
	for name := range before {
		p.encode(&p.fs.tx, name)
	}
	p.reapply()
}

// reapply gives every tunable its default or what p.set says.
func (p *params) reapply() {
	p.defaults()
	p.fs.cdt.state = controlStopped
	for n := range p.table {
		one := &p.table[n]
		value, ok := p.set[one.name]
		if !ok || one.set == nil {
			continue
		}
		if one.name == "mdt.hsm_control" {
			p.fs.cdt.state = parseControl(value)
		} else if err := one.set(p.fs, value); err != nil {
			p.fs.logger.Error("cannot set tunable", "name", one.name, "value", value, "err", err)
		}
	}
}
