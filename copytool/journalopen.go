package copytool

import (
	"maps"
	"slices"
)

// openActions are the records of the actions that have not ended, by the numbers of
// those. A hundred thousand may be open, so the records of most of them, which are of
// one size, lie where the garbage collector need not look.
type openActions struct {
	plain map[uint64][plainSize]byte // received, without data of the requester's
	other map[uint64][]byte          // received with such data, and staged blocks
	bytes int64                      // of all records
}

// plainSize is that of the record of an action which comes without data.
const plainSize = frameSize + 81

func newOpenActions() openActions {
	return openActions{plain: map[uint64][plainSize]byte{}, other: map[uint64][]byte{}}
}

// apply takes over a record, of which raw is the text. It does not keep that.
func (o *openActions) apply(r *record, raw []byte) {
	switch {
	case r.kind == recordEnded:
		o.drop(r.entry)
	case r.kind == recordReceived:
		o.drop(r.entry)
		o.add(r.entry, raw)
	case r.kind == recordStaged && o.has(r.entry):
		o.other[r.entry] = append(o.other[r.entry], raw...)
		o.bytes += int64(len(raw))
	}
}

func (o *openActions) add(entry uint64, raw []byte) {
	if len(raw) == plainSize {
		o.plain[entry] = [plainSize]byte(raw)
	} else {
		o.other[entry] = slices.Clone(raw)
	}
	o.bytes += int64(len(raw))
}

func (o *openActions) drop(entry uint64) {
	if _, ok := o.plain[entry]; ok {
		o.bytes -= plainSize
		delete(o.plain, entry)
	}
	if other := o.other[entry]; other != nil {
		o.bytes -= int64(len(other))
		delete(o.other, entry)
	}
}

func (o *openActions) has(entry uint64) bool {
	_, plain := o.plain[entry]
	return plain || o.other[entry] != nil
}

// records are those of one action, in the order in which they were written.
func (o *openActions) records(entry uint64) []byte {
	if plain, ok := o.plain[entry]; ok {
		return append(plain[:], o.other[entry]...)
	}
	return o.other[entry]
}

// appendTo writes all records behind b.
func (o *openActions) appendTo(b []byte) []byte {
	for _, plain := range o.plain {
		b = append(b, plain[:]...)
	}
	for _, other := range o.other { // blocks behind their actions
		b = append(b, other...)
	}
	return b
}

// tasks are the actions, in the order in which they came.
func (o *openActions) tasks() []*task {
	entries := slices.AppendSeq(slices.Collect(maps.Keys(o.plain)), maps.Keys(o.other))
	slices.Sort(entries)
	var tasks []*task
	for _, entry := range slices.Compact(entries) {
		tasks = append(tasks, taskOf(o.records(entry)))
	}
	return tasks
}

// taskOf makes an action of its records.
func taskOf(records []byte) *task {
	t := &task{}
	for b := records; len(b) > 0; {
		r, size, err := decodeRecord(b)
		if err != nil {
			break // cannot be: it was decoded, or encoded, before
		}
		if r.kind == recordReceived {
			t = adoptedTask(&r)
		} else {
			t.staged = append(t.staged, r.staged)
		}
		b = b[size:]
	}
	return t
}
