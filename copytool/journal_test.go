package copytool

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

func openJournal(t testing.TB, dir string) *Journal {
	t.Helper()
	j, err := OpenJournal(dir, "lustre", "/mnt/lustre", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// journalTask is an action with something in every field. Those with even numbers come
// without data, as nearly all do.
func journalTask(n int) *task {
	fid := llapi.FID{Seq: 0x200000401, OID: uint32(n), Ver: 1}
	item := llapi.ActionItem{Action: llapi.ActionRestore, FID: fid, DFID: fid, Extent: llapi.WholeFile, Cookie: uint64(n) << 33, GID: 7}
	if n%2 == 1 {
		item.Data = []byte(fmt.Sprintf("data %d", n))
	}
	list := llapi.ActionList{ArchiveID: 3, Flags: llapi.FlagBlocking}
	return newTask(item, &list, time.Unix(1, int64(n)))
}

// TestPlainRecord: that of an action without data has the size that the journal keeps
// without pointers. Of another size it would be kept as well, and dearly.
func TestPlainRecord(t *testing.T) {
	x := journalTask(2)
	r := record{kind: recordReceived, entry: 1, archiveID: x.archiveID, flags: x.flags, received: x.received, item: x.item}
	if n := len(appendRecord(nil, &r)); n != plainSize {
		t.Errorf("it has %d bytes, and plainSize is %d", n, plainSize)
	}
}

// entries says which actions are open.
func entries(j *Journal) (numbers []int) {
	for _, t := range j.orphans() {
		numbers = append(numbers, int(t.fid.OID))
	}
	return numbers
}

func TestJournalRemembersWhatIsOpen(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	a, b, c := journalTask(1), journalTask(2), journalTask(3)
	j.received([]*task{a, b, c})
	block := blobstore.StagedBlock{Upload: "feed", BlockSize: 8 << 20, Number: 5, CRC64: 1 << 63}
	j.staged(b, 42, block)
	j.ended(a)

	for range 2 { // what is taken over stays open until it has ended
		j = openJournal(t, dir)
		got := j.orphans()
		if len(got) != 2 || got[0].key != b.key || got[1].key != c.key {
			t.Fatalf("open are %v, want the second and the third", entries(j))
		}
		o := got[0]
		if !reflect.DeepEqual(o.item, b.item) || o.archiveID != 3 || !o.urgent || !o.adopted || !o.received.Equal(b.received) {
			t.Errorf("read back %+v, want %+v", o.item, b.item)
		}
		if want := []stagedBlock{{42, block}}; !slices.Equal(o.staged, want) {
			t.Errorf("staged blocks %v, want %v", o.staged, want)
		}
	}
	d := journalTask(4)
	j.received([]*task{d})
	j.ended(j.orphans()[0])
	if got := entries(openJournal(t, dir)); !slices.Equal(got, []int{3, 4}) {
		t.Errorf("open are %v, want 3 and 4", got)
	}
}

// TestTornJournal cuts a journal at each of its bytes, as a death in the middle
// of a write would, and changes each of its last bytes.
func TestTornJournal(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	j.received([]*task{journalTask(1)})
	whole := int(j.size)
	j.received([]*task{journalTask(2)})
	content, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, content []byte) {
		t.Helper()
		if err := os.WriteFile(j.path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		next := openJournal(t, dir)
		if got := entries(next); !slices.Equal(got, []int{1}) {
			t.Errorf("%s: open are %v, want the first", what, got)
		}
		next.received([]*task{journalTask(3)})
		if got := entries(openJournal(t, dir)); !slices.Equal(got, []int{1, 3}) {
			t.Errorf("%s: after one more, open are %v, want 1 and 3", what, got)
		}
	}
	for n := whole; n < len(content); n++ {
		check(fmt.Sprintf("%d bytes", n), content[:n])
		broken := bytes.Clone(content)
		broken[n] ^= 1
		check(fmt.Sprintf("byte %d changed", n), broken)
	}
}

func TestJournalOfSomebodyElse(t *testing.T) {
	dir := t.TempDir()
	mine := openJournal(t, dir).path
	other, err := OpenJournal(t.TempDir(), "lustre", "/mnt/other", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(other.path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"another mount's": theirs, "no journal": []byte("hello"), "an empty file": nil} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(mine, content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := OpenJournal(dir, "lustre", "/mnt/lustre", slog.New(slog.DiscardHandler))
			if refused := err != nil && strings.Contains(err.Error(), "move it away"); refused != (len(content) > 0) {
				t.Errorf("OpenJournal: %v", err)
			}
			after, err := os.ReadFile(mine)
			if err != nil || len(content) > 0 && !bytes.Equal(after, content) {
				t.Errorf("the file was changed, or is gone: %v", err)
			}
		})
	}
}

func TestJournalCannotBeMade(t *testing.T) {
	for _, dir := range []string{"", "/dev/null/state"} {
		_, err := OpenJournal(dir, "lustre", "/mnt/lustre", slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "--state-dir") || strings.Contains(err.Error(), "\n") {
			t.Errorf("in %q: %v; want one line that names the option", dir, err)
		}
	}
}

// TestJournalWithoutSpace: the work goes on, and so does the journal as soon as
// it can.
func TestJournalWithoutSpace(t *testing.T) {
	dir, log := t.TempDir(), &logBuffer{}
	j := openJournal(t, dir)
	j.log = slog.New(slog.NewTextHandler(log, nil))
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	good := j.file
	j.file = full
	for i := range 3 {
		j.received([]*task{journalTask(i)})
	}
	j.file = good
	full.Close()
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d lines about it, want 1:\n%s", n, log)
	}
	j.received([]*task{journalTask(7)})
	if got := entries(openJournal(t, dir)); !slices.Equal(got, []int{7}) {
		t.Errorf("open are %v, want what was written", got)
	}
}

// wantRewrite has an action come and go until the journal gets smaller. Nothing comes
// while that happens, so what is open is all that is left.
func wantRewrite(t *testing.T, j *Journal) {
	t.Helper()
	x := journalTask(2)
	for before := int64(0); before < j.size && j.size < 2*j.rewriteAt; {
		before = j.size
		j.received([]*task{x})
		j.ended(x)
	}
	if open := int64(len(j.head)) + j.live.bytes; j.size != open {
		t.Errorf("the journal has %d bytes, and %d of them are open actions", j.size, open)
	}
}

// TestJournalStaysSmall: it is rewritten while actions come and go, and loses none.
func TestJournalStaysSmall(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	const workers, each = 16, 3000
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				x := journalTask(w*each + i + 1)
				j.received([]*task{x})
				if i < each-1 {
					j.ended(x)
				}
			}
		})
	}
	wg.Wait()
	// Whatever came while the last rewrite was synced is in it, and that may be much. But
	// only what each has received since the last end can have passed the mark.
	if j.size > j.rewriteAt+workers*2*plainSize {
		t.Errorf("the journal has %d bytes, and %d are enough for a rewrite", j.size, j.rewriteAt)
	}
	wantRewrite(t, j)
	info, err := os.Stat(j.path)
	if err != nil || info.Size() != j.size {
		t.Errorf("the file has %d bytes (%v), the journal thinks %d", info.Size(), err, j.size)
	}
	got := entries(openJournal(t, dir))
	slices.Sort(got)
	for w := range workers {
		if len(got) != workers || got[w] != (w+1)*each {
			t.Fatalf("open are %v", got)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, filepath.Base(j.path)+".new")); err == nil {
		t.Error("a spare file is left")
	}
}

// TestJournalOfManyActions is a hundred thousand open at once.
func TestJournalOfManyActions(t *testing.T) {
	const n = 100_000
	dir := t.TempDir()
	j := openJournal(t, dir)
	var tasks []*task
	for i := range n {
		tasks = append(tasks, journalTask(i))
	}
	for list := range slices.Chunk(tasks, 50) {
		j.received(list)
	}
	j = openJournal(t, dir)
	if got := len(j.orphans()); got != n {
		t.Errorf("%d open, want %d", got, n)
	}
	for _, x := range j.orphans() {
		j.ended(x)
	}
	if got := openJournal(t, dir); len(got.orphans()) != 0 || got.live.bytes != 0 {
		t.Errorf("%d left open, of %d bytes", len(got.orphans()), got.live.bytes)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	x := journalTask(1)
	for _, r := range []record{
		{kind: recordHeader, fsname: "lustre", mount: "/mnt"},
		{kind: recordReceived, entry: 1, archiveID: 2, flags: 4, received: x.received, item: x.item},
		{kind: recordEnded, entry: 1},
		{kind: recordStaged, entry: 1, staged: stagedBlock{7, blobstore.StagedBlock{Upload: "ab", BlockSize: 1, Number: 2, CRC64: 3}}},
	} {
		f.Add(appendRecord(nil, &r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, size, err := decodeRecord(b)
		if err != nil {
			if size != 0 {
				t.Errorf("error and a size of %d", size)
			}
			// With a right frame around it, the payload is what is tried.
			framed := appendRecord(nil, &record{})
			framed = append(framed[:frameSize], b...)
			if r, ok := decodePayload(append([]byte{0}, b...)); ok {
				t.Errorf("kind 0 was taken for %+v", r)
			}
			if len(b) == 0 {
				return
			}
			if r, ok := decodePayload(b); ok && !bytes.Equal(appendRecord(nil, &r)[frameSize:], framed[frameSize:]) {
				t.Errorf("payload %x was read as %+v, which is written in another way", b, r)
			}
			return
		}
		if again := appendRecord(nil, &r); !bytes.Equal(again, b[:size]) {
			t.Errorf("%x was read as %+v, which is written as %x", b[:size], r, again)
		}
	})
}

// BenchmarkJournal is what an action costs that comes alone, as small files'
// archives do when the coordinator has little to do.
func BenchmarkJournal(b *testing.B) {
	j := openJournal(b, b.TempDir())
	x := journalTask(1)
	b.ReportAllocs()
	for b.Loop() {
		j.received([]*task{x})
		j.ended(x)
	}
}
