package state

import "strconv"

// Action is what a copytool is asked to do (HSMA_*).
type Action uint32

// The actions, with Lustre's numbers. HSMA_NONE and HUA_ARCHIVE are both 10,
// which is why [UserAction] is a type of its own.
const (
	ActionNone    Action = 10
	ActionArchive Action = 20
	ActionRestore Action = 21
	ActionRemove  Action = 22
	ActionCancel  Action = 23
)

// String gives the word that hsm.actions prints.
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
	return "UNKNOWN(" + strconv.Itoa(int(a)) + ")"
}

// UserAction is what a user asks for (HUA_*).
type UserAction uint32

// The user's actions, with Lustre's numbers.
const (
	UserNone    UserAction = 1
	UserArchive UserAction = 10
	UserRestore UserAction = 11
	UserRelease UserAction = 12
	UserRemove  UserAction = 13
	UserCancel  UserAction = 14
)

// action translates to what the copytool will see; ok is false for actions
// that no copytool ever gets.
func (u UserAction) action() (a Action, ok bool) {
	switch u {
	case UserArchive:
		return ActionArchive, true
	case UserRestore:
		return ActionRestore, true
	case UserRemove:
		return ActionRemove, true
	case UserCancel:
		return ActionCancel, true
	}
	return 0, false
}

// user undoes [UserAction.action].
func (a Action) user() UserAction {
	switch a {
	case ActionArchive:
		return UserArchive
	case ActionRestore:
		return UserRestore
	case ActionRemove:
		return UserRemove
	case ActionCancel:
		return UserCancel
	}
	return UserNone
}

// RequestFlags go with a request and with the list a copytool receives.
type RequestFlags uint64

// Request flags, with Lustre's numbers.
const (
	FlagForce    RequestFlags = 1 // skip the test whether the action is needed
	FlagBlocking RequestFlags = 4 // a reader waits: set on implicit restores
)

// Status is the state of a request's record (ARS_*).
type Status uint32

// Record states, with Lustre's numbers.
const (
	StatusWaiting  Status = 0
	StatusStarted  Status = 1
	StatusFailed   Status = 2
	StatusCanceled Status = 3
	StatusSucceed  Status = 4
)

// String gives the word that hsm.actions prints.
func (s Status) String() string {
	switch s {
	case StatusWaiting:
		return "WAITING"
	case StatusStarted:
		return "STARTED"
	case StatusFailed:
		return "FAILED"
	case StatusCanceled:
		return "CANCELED"
	case StatusSucceed:
		return "SUCCEED"
	}
	return "UNKNOWN"
}

// final says whether the record waits only for its removal.
func (s Status) final() bool { return s >= StatusFailed }

// ProgressState is what hsm_action shows (HPS_*).
type ProgressState uint32

// Progress states, with Lustre's numbers.
const (
	ProgressNone    ProgressState = 0
	ProgressWaiting ProgressState = 1
	ProgressRunning ProgressState = 2
	ProgressDone    ProgressState = 3
)

// Extent is a range of bytes of a file.
type Extent struct{ Offset, Length uint64 }

// WholeFile is the extent of every request in practice.
var WholeFile = Extent{0, ^uint64(0)}

// wraps says whether the extent ends beyond the last offset there is.
func (e Extent) wraps() bool { return e.Length > 0 && e.Offset+e.Length-1 < e.Offset }

// Item is one action as a copytool receives it (struct hsm_action_item).
type Item struct {
	Action Action
	FID    FID // the file
	DFID   FID // where the data are; equal to FID, or zero for a removal after unlink
	Extent Extent
	Cookie uint64
	GID    uint64
	Data   []byte // opaque, from the request
}

// size is the space of the item in a list, padded as the real one is.
func (it *Item) size() int { return (72 + len(it.Data) + 7) &^ 7 }

// ActionList is one message to a copytool (struct hsm_action_list).
type ActionList struct {
	FSName    string
	ArchiveID uint32
	Flags     RequestFlags
	Items     []Item

	shared bool // more than one pipe got it
}

// RequestItem is one file of a [Request] (struct hsm_user_item).
type RequestItem struct {
	FID    FID
	Extent Extent
}

// Request is what llapi_hsm_request sends (struct hsm_user_request).
type Request struct {
	Action    UserAction
	ArchiveID uint32 // 0: the file's, else default_archive_id
	Flags     RequestFlags
	Items     []RequestItem
	Data      []byte
}

// size is that of struct hsm_user_request.
func (r *Request) size() int { return 24 + 32*len(r.Items) + len(r.Data) }

// CurrentAction is what llapi_hsm_current_action answers.
type CurrentAction struct {
	State  ProgressState
	Action UserAction // UserNone: no request
	Extent Extent     // while running, Length is the number of bytes moved
}

// ProgressFlags go with progress and end (HP_FLAG_*).
type ProgressFlags uint16

// Progress flags, with Lustre's numbers.
const (
	ProgressCompleted ProgressFlags = 1
	ProgressRetry     ProgressFlags = 2
)

// Progress is the argument of LL_IOC_HSM_PROGRESS (struct hsm_progress).
type Progress struct {
	FID         FID
	Cookie      uint64
	Extent      Extent
	Flags       ProgressFlags
	Errval      uint16
	DataVersion uint64 // set by [FS.CopyEnd] only; not part of the ioctl's struct
}

// Copy is the argument of LL_IOC_HSM_COPY_START and LL_IOC_HSM_COPY_END
// (struct hsm_copy).
type Copy struct {
	DataVersion uint64
	Flags       ProgressFlags
	Errval      uint16
	Item        Item
}
