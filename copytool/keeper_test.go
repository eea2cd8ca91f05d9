package copytool

import (
	"log/slog"
	"os"
	"slices"
	"testing"

	"lhsm-azblob/llapi"
)

func TestKeptTasks(t *testing.T) {
	list := func(fsname string, id uint32, actions ...llapi.Action) llapi.ActionList {
		l := llapi.ActionList{FSName: fsname, ArchiveID: id}
		for i, a := range actions {
			l.Items = append(l.Items, llapi.ActionItem{Action: a, Cookie: uint64(id)*100 + uint64(i)})
		}
		return l
	}
	lists := []llapi.ActionList{
		list("lustre", 1, llapi.ActionArchive, llapi.ActionCancel, llapi.ActionRemove),
		list("lustre", 2, llapi.ActionRestore),
		list("other", 1, llapi.ActionArchive),
	}
	for _, tt := range []struct {
		ids  []uint32
		want []uint64
	}{
		{nil, []uint64{100, 102, 200}},
		{[]uint32{1}, []uint64{100, 102}},
		{[]uint32{2, 3}, []uint64{200}},
		{[]uint32{3}, nil},
	} {
		var got []uint64
		for _, x := range keptTasks(lists, "lustre", splitIDs(joinIDs(tt.ids))) {
			got = append(got, x.cookie)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("archive ids %v: kept are %v, want %v", tt.ids, got, tt.want)
		}
	}
}

// TestContinuedJournal is written to by a keeper, behind a torn record.
func TestContinuedJournal(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	j.received([]*task{journalTask(1)})
	if err := os.Truncate(j.path, j.size+3); err != nil {
		t.Fatal(err)
	}
	next, err := continueJournal(dir, "lustre", "/mnt/lustre", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	next.received([]*task{journalTask(2)})
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	if got := entries(openJournal(t, dir)); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("open are %v, want 1 and 2", got)
	}
	if _, err := continueJournal(t.TempDir(), "lustre", "/mnt/lustre", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a journal that does not exist was continued")
	}
}

func TestKeeperOfNobody(t *testing.T) {
	if err := RunKeeper([]string{"what"}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a keeper ran without knowing for whom")
	}
}
