package lioc

// The ioctls the stand-in serves. The comment names the struct passed, and the
// kind of file it is called on.
const (
	HSMStateGet    = 0x802066d3 // UserState; file
	HSMStateSet    = 0x401866d4 // StateSet; file
	HSMCTStart     = 0x401866d5 // KernelComm and archive ids; mount root
	HSMCopyStart   = 0x400866d6 // Copy, both ways; mount root
	HSMCopyEnd     = 0x400866d7 // Copy; mount root
	HSMProgress    = 0x401866d8 // Progress; mount root
	HSMRequest     = 0x401866d9 // RequestHeader, items, data; mount root
	DataVersion    = 0x801066da // DataVersionArg; file
	SwapLayouts    = 0x402066db // SwapLayoutsArg; file
	HSMAction      = 0x801866dc // CurrentAction; file
	HSMImport      = 0xc03066f5 // UserImport; file
	HSMDataVersion = 0x401066fe // DataVersionArg; file
	FID2MDTIdx     = 0xc01066f8 // FID in, index as the return value; any
	FID2Path       = 0xc0086696 // FID2PathArg and a path buffer; any
	Path2FID       = 0x800866ad // FID, although the number says 8 bytes; file
	Futimes3       = 0xc03066b0 // FutimesArg; file
	GetParent      = 0xc01866f9 // GetParentArg and a name buffer; file
	GetMDTIdx      = 0x800866af // an int; file
	SetStripe      = 0x4008669a // a lov_user_md; file
	GetFileInfo    = 0xc1406916 // a name in, FileInfo and a layout out; directory
	GetFileStripe  = 0xc0086915 // a name in, a layout out; directory
)

// HSM state flags (HS_*).
const (
	HSExists    = 0x01
	HSDirty     = 0x02
	HSReleased  = 0x04
	HSArchived  = 0x08
	HSNoRelease = 0x10
	HSNoArchive = 0x20
	HSLost      = 0x40
)

// What a user asks for (HUA_*).
const (
	UserNone    = 1
	UserArchive = 10
	UserRestore = 11
	UserRelease = 12
	UserRemove  = 13
	UserCancel  = 14
)

// What a copytool is told to do (HSMA_*).
const (
	ActionNone    = 10
	ActionArchive = 20
	ActionRestore = 21
	ActionRemove  = 22
	ActionCancel  = 23
)

// Flags of the structs.
const (
	CommStop      = 1 // KernelComm.Flags: unregister
	SetMask       = 1 // StateSet.Valid
	ClearMask     = 2
	SetArchiveID  = 4
	CopyCompleted = 1 // Progress.Flags and Copy.Flags
	CopyRetry     = 2
	SwapCheckDV1  = 1 // SwapLayoutsArg.Flags
	SwapCheckDV2  = 2
)

// MaxRequestSize is the size from which the client kernel refuses a user
// request with E2BIG before it looks at anything else in it.
const MaxRequestSize = 1706

// MaxListSize is what the coordinator allows for one action list, the header
// of the pipe message not counted.
const MaxListSize = 5120

// Layout magics and patterns (lov_user_md).
const (
	LovMagicV1       = 0x0BD10BD0
	LovPatternRaid0  = 1
	LovReleased      = 0x80000000
	LovUserMDSize    = 32
	LovUserEntrySize = 24
)
