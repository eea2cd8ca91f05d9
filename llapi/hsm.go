package llapi

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// Action is what a copytool is asked to do (HSMA_*).
type Action uint32

// Actions.
const (
	ActionNone    Action = 10
	ActionArchive Action = 20
	ActionRestore Action = 21
	ActionRemove  Action = 22
	ActionCancel  Action = 23
)

// String returns the word that Lustre uses, such as "ARCHIVE".
func (a Action) String() string {
	switch a {
	case ActionNone:
		return "NOOP"
	case ActionArchive:
		return "ARCHIVE"
	case ActionRestore:
		return "RESTORE"
	case ActionRemove:
		return "REMOVE"
	case ActionCancel:
		return "CANCEL"
	}
	return "action " + strconv.FormatUint(uint64(a), 10)
}

// UserAction is what a user asks the coordinator for (HUA_*). Its numbers are
// not those of [Action].
type UserAction uint32

// User actions. A release is done by the client at once, without a copytool.
const (
	UserNone    UserAction = 1
	UserArchive UserAction = 10
	UserRestore UserAction = 11
	UserRelease UserAction = 12
	UserRemove  UserAction = 13
	UserCancel  UserAction = 14
)

// String returns the word that Lustre uses, such as "ARCHIVE".
func (a UserAction) String() string {
	switch a {
	case UserNone:
		return "NOOP"
	case UserArchive:
		return "ARCHIVE"
	case UserRestore:
		return "RESTORE"
	case UserRelease:
		return "RELEASE"
	case UserRemove:
		return "REMOVE"
	case UserCancel:
		return "CANCEL"
	}
	return "user action " + strconv.FormatUint(uint64(a), 10)
}

// RequestFlags qualify a request, and the list of actions it becomes.
type RequestFlags uint64

// Request flags.
const (
	// FlagForce skips the coordinator's test whether the action is needed.
	FlagForce RequestFlags = 1
	// FlagBlocking marks a restore that a reader is blocked on (2.17 and
	// later). A list with several items has the flags of one of them only.
	FlagBlocking RequestFlags = 4
)

// EndFlags qualify a progress report or the end of an action (HP_FLAG_*).
type EndFlags uint16

// EndRetry allows the coordinator to queue the failed action again, if its
// policy NoRetryAction is off (by default it is on).
const EndRetry EndFlags = 2

// StateFlags are the HSM flags of a file (HS_*).
type StateFlags uint32

// HSM flags of a file.
const (
	HSExists    StateFlags = 0x01 // an archive began; no proof of a copy
	HSDirty     StateFlags = 0x02 // changed since it was archived
	HSReleased  StateFlags = 0x04 // has no data in Lustre
	HSArchived  StateFlags = 0x08 // the archive has a copy
	HSNoRelease StateFlags = 0x10 // must not be released
	HSNoArchive StateFlags = 0x20 // must not be archived
	HSLost      StateFlags = 0x40 // the archive's copy is lost
)

// stateWords are in the order in which lfs prints them.
var stateWords = []struct {
	flag StateFlags
	word string
}{
	{HSReleased, "released"},
	{HSExists, "exists"},
	{HSDirty, "dirty"},
	{HSArchived, "archived"},
	{HSNoRelease, "never_release"},
	{HSNoArchive, "never_archive"},
	{HSLost, "lost_from_hsm"},
}

// String returns the words of the flags that are set, in the order and the
// spelling of lfs, separated by blanks: "exists archived".
func (f StateFlags) String() string {
	var words []string
	for _, w := range stateWords {
		if f&w.flag != 0 {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, " ")
}

// Extent is a range of bytes of a file.
type Extent struct {
	Offset uint64
	Length uint64 // math.MaxUint64: up to the end of the file
}

// WholeFile is the extent of every request and action in practice.
var WholeFile = Extent{Offset: 0, Length: math.MaxUint64}

func getExtent(b []byte) Extent {
	return Extent{
		Offset: binary.NativeEndian.Uint64(b),
		Length: binary.NativeEndian.Uint64(b[8:]),
	}
}

func putExtent(b []byte, e Extent) {
	binary.NativeEndian.PutUint64(b, e.Offset)
	binary.NativeEndian.PutUint64(b[8:], e.Length)
}
