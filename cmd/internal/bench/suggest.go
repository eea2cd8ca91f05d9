package bench

// A Suggestion is what the results mean for the copytool's settings.
type Suggestion struct {
	// Transfers is the smallest number of requests in flight with which each size
	// moves nearly as fast as with any.
	Transfers int `json:"transfers"`
	// Actions is how many archives, and as many restores, that takes when files are
	// small: each has one request.
	Actions int `json:"actions"`
	// Memory holds a block for each transfer, in bytes.
	Memory int64 `json:"memory"`
	// GiBPerSecond is what the processors of this machine allow with the largest
	// blobs, if network and service do: the smaller of both directions.
	GiBPerSecond float64 `json:"gib_per_second"`
	// Busy tells that the service refused requests as too many even so.
	Busy bool `json:"busy"`
}

// enough is the part of the best throughput that is as good.
const enough = 0.95

// Suggest makes a suggestion for a machine with so many cores. blockSize is that of
// the results, 0 for the default.
func Suggest(results []Result, cores int, blockSize int64) Suggestion {
	var s Suggestion
	for _, group := range bySizeAndOp(results) {
		s.Transfers = max(s.Transfers, fewest(group))
	}
	s.Actions = s.Transfers
	s.Memory = memoryFor(s.Transfers+cores, blockSize)
	s.GiBPerSecond = allowed(results, s.Transfers, cores)
	for _, r := range results {
		s.Busy = s.Busy || r.Busy > 0 && r.Requests <= s.Transfers
	}
	return s
}

// bySizeAndOp groups results that differ in their number of requests alone.
func bySizeAndOp(results []Result) map[Result][]Result {
	groups := map[Result][]Result{}
	for _, r := range results {
		key := Result{Op: r.Op, Size: r.Size}
		groups[key] = append(groups[key], r)
	}
	return groups
}

// fewest is the smallest number of requests that is fast enough.
func fewest(group []Result) int {
	best := 0.0
	for _, r := range group {
		best = max(best, rate(r))
	}
	fewest := 0
	for _, r := range group {
		if rate(r) >= enough*best && (fewest == 0 || r.Requests < fewest) {
			fewest = r.Requests
		}
	}
	return fewest
}

func rate(r Result) float64 { return float64(r.Blobs) / r.Seconds }

// memoryFor is enough for so many blocks, as a power of two and no less than the
// copytool has by default.
func memoryFor(blocks int, size int64) int64 {
	if size == 0 {
		size = blockSize
	}
	memory := int64(1 << 30)
	for memory < int64(blocks)*size {
		memory *= 2
	}
	return memory
}

// allowed is what the processors can move of the largest blobs with so many
// requests in flight.
func allowed(results []Result, requests, cores int) float64 {
	most := Result{} // the dearest of the largest
	for _, r := range results {
		if r.Requests == requests && (r.Size > most.Size || r.Size == most.Size && r.CPUPerGiB() > most.CPUPerGiB()) {
			most = r
		}
	}
	if most.CPU == 0 {
		return 0
	}
	return float64(cores) / most.CPUPerGiB()
}
