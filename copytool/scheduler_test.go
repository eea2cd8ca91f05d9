package copytool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lhsm-azblob/llapi"
)

// stage is a scheduler whose tasks run until the test says so.
type stage struct {
	*scheduler
	sizes map[llapi.FID]int64
	asked atomic.Int64 // for how many sizes

	mu      sync.Mutex // guards all below
	running map[key]chan struct{}
	order   []key // in which tasks began to run
	ended   map[key]error
	doubled []*task
	memory  []int64               // that tasks took, each time that was told
	rests   map[key]time.Duration // of tasks whose end is not taken
}

func newStage(l Limits) *stage {
	st := &stage{sizes: map[llapi.FID]int64{}, running: map[key]chan struct{}{}, ended: map[key]error{}, rests: map[key]time.Duration{}}
	st.scheduler = newScheduler(l, st.work, st.sizeOf, func(t *task) { st.doubled = append(st.doubled, t) }, func(n int64) { st.memory = append(st.memory, n) })
	return st
}

func (st *stage) sizeOf(t *task) int64 {
	st.asked.Add(1)
	return st.sizes[t.fid]
}

func (st *stage) work(ctx context.Context, t *task) (rest time.Duration) {
	release := make(chan struct{})
	err := t.cause
	if err == nil {
		st.mu.Lock()
		st.running[t.key] = release
		st.order = append(st.order, t.key)
		st.mu.Unlock()
		select {
		case <-release:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.running, t.key)
	if rest = st.rests[t.key]; rest > 0 && err == nil {
		return rest
	}
	st.ended[t.key] = err
	return 0
}

// finish lets a task that runs end.
func (st *stage) finish(k key) {
	st.mu.Lock()
	close(st.running[k])
	st.mu.Unlock()
	synctest.Wait()
}

func (st *stage) finishAll() {
	for {
		synctest.Wait()
		st.mu.Lock()
		for k, release := range st.running {
			close(release)
			delete(st.running, k)
		}
		left := len(st.tasks)
		st.mu.Unlock()
		if left == 0 {
			return
		}
	}
}

func (st *stage) isRunning(k key) bool {
	synctest.Wait()
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.running[k] != nil
}

// countsAsLarge looks under the scheduler's lock: what changes it next is a timer, which
// waits for nothing that the test does.
func (st *stage) countsAsLarge(t *task) (large bool, running int) {
	st.scheduler.mu.Lock()
	defer st.scheduler.mu.Unlock()
	return t.large, t.lane.largeRunning
}

func testTask(action llapi.Action, oid uint32, cookie uint64) *task {
	item := llapi.ActionItem{Action: action, FID: llapi.FID{Seq: 1, OID: oid}, Cookie: cookie}
	return newTask(item, &llapi.ActionList{ArchiveID: 1}, time.Now())
}

func archiveTasks(n int) []*task {
	var tasks []*task
	for i := range n {
		tasks = append(tasks, testTask(llapi.ActionArchive, uint32(i+1), uint64(i+1)))
	}
	return tasks
}

// onStage runs a test in a bubble, where synctest.Wait waits for every worker
// to block.
func onStage(t *testing.T, l Limits, test func(t *testing.T, st *stage)) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(l)
		test(t, st)
		st.finishAll()
		st.workers.Wait()
		if len(st.files) != 0 {
			t.Errorf("files that nobody released: %v", st.files)
		}
		for _, s := range st.state() {
			if s.running != 0 || s.waiting != 0 {
				t.Errorf("lane %s at the end: %d running, %d waiting", s.name, s.running, s.waiting)
			}
		}
	})
}

func TestLanesHaveLimitsOfTheirOwn(t *testing.T) {
	onStage(t, Limits{Archives: 2, Restores: 1, Removes: 1}, func(t *testing.T, st *stage) {
		tasks := archiveTasks(5)
		restore, remove := testTask(llapi.ActionRestore, 100, 100), testTask(llapi.ActionRemove, 101, 101)
		st.submit(append(tasks, restore, remove), nil)
		synctest.Wait()
		want := []laneState{
			{name: "RESTORE", limit: 1, running: 1}, {name: "ARCHIVE", limit: 2, waiting: 3, running: 2, oldest: tasks[2].received}, {name: "REMOVE", limit: 1, running: 1},
		}
		if got := st.state(); !slices.Equal(got, want) {
			t.Errorf("lanes: %v, want %v", got, want)
		}
	})
}

// TestLimitsChange: a higher limit starts what waits, a lower one ends nothing.
func TestLimitsChange(t *testing.T) {
	onStage(t, Limits{Archives: 1, Restores: 1, Removes: 1}, func(t *testing.T, st *stage) {
		tasks := archiveTasks(9)
		wantRunning := func(when string, want int) {
			t.Helper()
			synctest.Wait()
			if got := st.state()[1].running; got != want {
				t.Errorf("%s: %d archives run, want %d", when, got, want)
			}
		}
		st.submit(tasks, nil)
		wantRunning("at first", 1)
		st.setLimits(Limits{Archives: 4, Restores: 1, Removes: 1})
		wantRunning("with a higher limit", 4)
		st.setLimits(Limits{Archives: 2, Restores: 1, Removes: 1})
		wantRunning("with a lower limit", 4)
		for i, want := range []int{3, 2, 2} {
			st.finish(tasks[i].key)
			wantRunning("after an end", want)
		}
	})
}

func TestBlockedRestoresGoFirst(t *testing.T) {
	onStage(t, Limits{Archives: 1, Restores: 1, Removes: 1}, func(t *testing.T, st *stage) {
		a, b, c := testTask(llapi.ActionRestore, 1, 1), testTask(llapi.ActionRestore, 2, 2), testTask(llapi.ActionRestore, 3, 3)
		c.urgent = true
		st.submit([]*task{a, b}, nil)
		synctest.Wait()
		st.submit([]*task{c}, nil)
		st.finish(a.key)
		if !st.isRunning(c.key) || st.isRunning(b.key) {
			t.Error("a restore that somebody waits for did not go first")
		}
	})
}

func TestOneActionPerFile(t *testing.T) {
	onStage(t, Limits{Archives: 4, Restores: 4, Removes: 4}, func(t *testing.T, st *stage) {
		first, second, third := testTask(llapi.ActionArchive, 1, 1), testTask(llapi.ActionArchive, 1, 2), testTask(llapi.ActionRemove, 1, 3)
		other := testTask(llapi.ActionArchive, 2, 4)
		st.submit([]*task{first, second, third, other}, nil)
		if !st.isRunning(first.key) || st.isRunning(second.key) || st.isRunning(third.key) || !st.isRunning(other.key) {
			t.Error("want the first on the file and the other file's running, and nothing else")
		}
		st.finish(first.key)
		if !st.isRunning(second.key) || st.isRunning(third.key) {
			t.Error("want the second on the file running now")
		}
		st.submit(nil, []key{third.key}) // cancelled while it waits for the file
		synctest.Wait()
		if err := st.ended[third.key]; !errors.Is(err, errCanceled) {
			t.Errorf("the third ended with %v, want errCanceled", err)
		}
	})
}

// TestRestoreBesideAnArchive: an archive that reads a file just released waits in
// the kernel for the restore.
func TestRestoreBesideAnArchive(t *testing.T) {
	onStage(t, Limits{Archives: 4, Restores: 4, Removes: 4}, func(t *testing.T, st *stage) {
		wantRunning := func(when string, want ...*task) {
			t.Helper()
			var got []key
			for k := range st.running {
				got = append(got, k)
			}
			for _, k := range want {
				if len(got) != len(want) || !slices.Contains(got, k.key) {
					t.Errorf("%s: %v run, want %d", when, got, len(want))
				}
			}
		}
		archive, second, remove := testTask(llapi.ActionArchive, 1, 1), testTask(llapi.ActionArchive, 1, 2), testTask(llapi.ActionRemove, 1, 3)
		restore, again := testTask(llapi.ActionRestore, 1, 4), testTask(llapi.ActionRestore, 1, 5)
		st.submit([]*task{archive}, nil)
		st.submit([]*task{remove}, nil)
		st.submit([]*task{second, restore, again}, nil)
		synctest.Wait()
		wantRunning("with an archive", archive, restore)
		st.finish(archive.key)
		wantRunning("the archive has ended first", restore)
		st.finish(restore.key)
		wantRunning("two restores", again)
		st.finish(again.key)
		wantRunning("nothing is to restore", remove)
		st.submit([]*task{testTask(llapi.ActionRestore, 1, 6)}, nil)
		synctest.Wait()
		wantRunning("a restore comes during a remove", remove)
		st.finish(remove.key)
		if st.isRunning(second.key) || !st.isRunning(testTask(llapi.ActionRestore, 1, 6).key) {
			t.Error("want the restore before the archive that waits for longer")
		}
		st.finishAll()
		if len(st.files) > 0 {
			t.Errorf("%d files stay claimed", len(st.files))
		}
	})
}

func TestSmallFilesAreNotBehindLargeOnes(t *testing.T) {
	onStage(t, Limits{Archives: 4, Restores: 4, Removes: 4}, func(t *testing.T, st *stage) {
		large, small := archiveTasks(10), testTask(llapi.ActionArchive, 100, 100)
		for _, l := range large {
			st.sizes[l.fid] = largeFile
		}
		st.submit(append(large, small), nil)
		if !st.isRunning(small.key) {
			t.Error("a small file waits behind large ones")
		}
		if n := len(st.running); n != 4 {
			t.Errorf("%d tasks run, want 3 large and the small one", n)
		}
		st.finish(small.key)
		if n := len(st.running); n != 3 {
			t.Errorf("%d large files run, want 3 of 4 slots", n)
		}
		st.finishAll()
		if len(st.ended) != 11 {
			t.Errorf("%d tasks ended, want 11", len(st.ended))
		}
	})
}

// TestNobodyAsksForSizes as long as few large files can run: a task's own first look
// tells its size, and until then it counts as large.
func TestNobodyAsksForSizes(t *testing.T) {
	onStage(t, Limits{Archives: 16, Restores: 4, Removes: 4}, func(t *testing.T, st *stage) {
		first, more := archiveTasks(6), testTask(llapi.ActionArchive, 100, 100)
		st.submit(first, nil)
		synctest.Wait()
		if n := st.asked.Load(); n != 0 || st.archives.largeRunning != 6 {
			t.Errorf("asked for %d sizes, %d count as large, want 0 and 6", n, st.archives.largeRunning)
		}
		st.submit([]*task{more}, nil)
		synctest.Wait()
		if n := st.asked.Load(); n != 1 || st.archives.largeRunning != 6 {
			t.Errorf("asked for %d sizes, %d count as large, want 1 and 6: half of 12 is kept for large files", n, st.archives.largeRunning)
		}
		st.sized(first[0], largeFile-1)
		st.sized(first[1], largeFile)
		st.finish(first[2].key)
		if n := st.archives.largeRunning; n != 4 {
			t.Errorf("%d count as large, want 4: one is small, one has ended", n)
		}
		st.finishAll()
		if n := st.archives.largeRunning; n != 0 {
			t.Errorf("%d count as large when none is left", n)
		}
	})
}

// TestUnsizedIsNotLarge for longer than it runs: a task that rests before its size is
// known does not wait among the large ones afterwards.
func TestUnsizedIsNotLarge(t *testing.T) {
	onStage(t, Limits{Archives: 16, Restores: 4, Removes: 4}, func(t *testing.T, st *stage) {
		a := testTask(llapi.ActionArchive, 1, 1)
		st.rests[a.key] = time.Minute
		st.submit([]*task{a}, nil)
		synctest.Wait()
		if large, _ := st.countsAsLarge(a); !large {
			t.Error("an unsized task that runs does not count as large")
		}
		st.finish(a.key)
		if large, running := st.countsAsLarge(a); large || running != 0 {
			t.Errorf("resting: large is %t, %d run, want neither", large, running)
		}
		delete(st.rests, a.key)
		time.Sleep(time.Minute)
		st.finishAll()
	})
}

func TestCancel(t *testing.T) {
	onStage(t, Limits{Archives: 1, Restores: 1, Removes: 1}, func(t *testing.T, st *stage) {
		running, waiting, together, late := testTask(llapi.ActionArchive, 1, 1), testTask(llapi.ActionArchive, 2, 2),
			testTask(llapi.ActionArchive, 3, 3), testTask(llapi.ActionArchive, 4, 4)
		st.submit([]*task{running, waiting}, nil)
		synctest.Wait()
		st.submit([]*task{together}, []key{together.key, running.key, waiting.key, late.key, {cookie: 77}})
		synctest.Wait()
		st.submit([]*task{late}, nil) // its cancel was faster
		synctest.Wait()
		for _, k := range []key{running.key, waiting.key, together.key, late.key} {
			if err := st.ended[k]; !errors.Is(err, errCanceled) {
				t.Errorf("task %d ended with %v, want errCanceled", k.cookie, err)
			}
		}
		if len(st.order) != 1 {
			t.Errorf("%d tasks began to run, want only the first", len(st.order))
		}
	})
}

// TestEarlyCancelIsForgotten: cookies may come again after a long time.
func TestEarlyCancelIsForgotten(t *testing.T) {
	onStage(t, Limits{Archives: 1, Restores: 1, Removes: 1}, func(t *testing.T, st *stage) {
		a := testTask(llapi.ActionArchive, 1, 1)
		st.submit(nil, []key{a.key})
		time.Sleep(2 * earlyCancelAge)
		st.submit([]*task{a}, nil)
		if !st.isRunning(a.key) {
			t.Error("a cancel of long ago hit a new action")
		}
	})
}

func TestSameCookieAgain(t *testing.T) {
	onStage(t, Limits{Archives: 4, Restores: 4, Removes: 4}, func(t *testing.T, st *stage) {
		first, again := testTask(llapi.ActionRestore, 1, 1), testTask(llapi.ActionRestore, 1, 1)
		st.submit([]*task{first}, nil)
		synctest.Wait()
		st.submit([]*task{again}, nil)
		synctest.Wait()
		if len(st.order) != 1 || len(st.tasks) != 1 {
			t.Errorf("an action sent twice ran %d times, %d tasks", len(st.order), len(st.tasks))
		}
		// The metadata server restarts: it forgets the action, then sends it again.
		third := testTask(llapi.ActionRestore, 1, 1)
		st.cancelTask(first, errForgotten)
		st.submit([]*task{third}, nil)
		if !st.isRunning(first.key) || len(st.order) != 2 {
			t.Errorf("the action did not run again: began %d times", len(st.order))
		}
	})
}

// TestSameCookieAfterTheEnd: an action that failed for a passing reason is sent
// again before its end has come back to us. One that ended otherwise is over.
func TestSameCookieAfterTheEnd(t *testing.T) {
	for retry, want := range map[bool]int{true: 2, false: 1} {
		onStage(t, Limits{Archives: 4, Restores: 4, Removes: 4}, func(t *testing.T, st *stage) {
			first, early, again := testTask(llapi.ActionArchive, 1, 1), testTask(llapi.ActionArchive, 1, 1), testTask(llapi.ActionArchive, 1, 1)
			st.submit([]*task{first}, nil)
			synctest.Wait()
			st.submit([]*task{early}, nil) // is served by the first
			first.retry.Store(retry)
			first.ending.Store(true)
			st.submit([]*task{again}, nil)
			st.finish(first.key)
			synctest.Wait()
			if len(st.order) != want || (st.tasks[first.key] == again) != retry {
				t.Errorf("with retry %t the action ran %d times", retry, len(st.order))
			}
			if len(st.doubled) != 3-want {
				t.Errorf("with retry %t there were %d doubles", retry, len(st.doubled))
			}
		})
	}
}

// TestSameCookieBeforeItWasForgotten: the action sent again arrives before the
// news that the first is forgotten.
func TestSameCookieBeforeItWasForgotten(t *testing.T) {
	onStage(t, Limits{Archives: 4, Restores: 4, Removes: 4}, func(t *testing.T, st *stage) {
		first, again, third := testTask(llapi.ActionRestore, 1, 1), testTask(llapi.ActionRestore, 1, 1), testTask(llapi.ActionRestore, 1, 1)
		for _, x := range []*task{first, again, third} {
			st.submit([]*task{x}, nil)
			synctest.Wait()
		}
		if len(st.doubled) != 1 || st.doubled[0] != again {
			t.Errorf("doubles: %d, want the second", len(st.doubled))
		}
		st.cancelTask(first, errForgotten)
		if !st.isRunning(first.key) || len(st.order) != 2 || st.tasks[first.key] != third {
			t.Errorf("the third is not in the first's place: %d began", len(st.order))
		}
		st.submit([]*task{again}, nil)
		st.finish(third.key)
		if len(st.doubled) != 2 || len(st.tasks) != 0 {
			t.Errorf("%d doubles, want 2; %d tasks left", len(st.doubled), len(st.tasks))
		}
	})
}

func TestAbort(t *testing.T) {
	onStage(t, Limits{Archives: 2, Restores: 1, Removes: 1}, func(t *testing.T, st *stage) {
		tasks := archiveTasks(50)
		tasks = append(tasks, testTask(llapi.ActionArchive, 1, 99)) // waits for the file of the first
		st.submit(tasks, nil)
		synctest.Wait()
		idle := st.idle()
		st.abort(errShuttingDown)
		<-idle
		for _, x := range tasks {
			if err := st.ended[x.key]; !errors.Is(err, errShuttingDown) {
				t.Errorf("task %d ended with %v, want errShuttingDown", x.cookie, err)
			}
		}
		late := testTask(llapi.ActionArchive, 200, 200)
		st.submit([]*task{late}, nil)
		synctest.Wait()
		if err := st.ended[late.key]; !errors.Is(err, errShuttingDown) {
			t.Errorf("a late task ended with %v, want errShuttingDown", err)
		}
	})
}

// TestRestingTask holds no slot, keeps its file, and is not in the way of others.
func TestRestingTask(t *testing.T) {
	onStage(t, Limits{1, 1, 1}, func(t *testing.T, st *stage) {
		owing, same, other := testTask(llapi.ActionArchive, 1, 1), testTask(llapi.ActionRemove, 1, 2), testTask(llapi.ActionArchive, 2, 3)
		st.rests[owing.key] = time.Minute
		st.submit([]*task{owing, same, other}, nil)
		synctest.Wait()
		st.finish(owing.key)
		if st.isRunning(same.key) || !st.isRunning(other.key) {
			t.Error("while one rests, want the other file's action to run, and not the same file's")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !st.isRunning(owing.key) {
			t.Fatal("it did not go on, though it needs no slot of those who work")
		}
		delete(st.rests, owing.key)
		st.finish(owing.key)
		if !st.isRunning(same.key) {
			t.Error("the file is not free after the end")
		}
	})
}

// TestRestingTaskAtTheEnd of the process gets one more run, with the reason.
func TestRestingTaskAtTheEnd(t *testing.T) {
	for name, abortFirst := range map[string]bool{"rests": false, "goes to rest": true} {
		t.Run(name, func(t *testing.T) {
			onStage(t, Limits{1, 1, 1}, func(t *testing.T, st *stage) {
				x := testTask(llapi.ActionArchive, 1, 1)
				st.rests[x.key] = time.Hour
				st.submit([]*task{x}, nil)
				synctest.Wait()
				if abortFirst {
					st.mu.Lock()
					close(st.running[x.key])
					st.mu.Unlock()
				} else {
					st.finish(x.key)
				}
				st.abort(errShuttingDown)
				if err := st.ended[x.key]; !errors.Is(err, errShuttingDown) {
					t.Errorf("ended with %v", err)
				}
				<-st.idle()
			})
		})
	}
}

func TestIdleOfNothing(t *testing.T) {
	st := newStage(Limits{1, 1, 1})
	<-st.idle()
}

// TestManyTasks queues, cancels and runs a hundred thousand: what is quadratic
// in the queue would show.
func TestManyTasks(t *testing.T) {
	const n = 100_000
	var mu sync.Mutex
	ran := 0
	s := newScheduler(Limits{8, 8, 8}, func(_ context.Context, x *task) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		if x.cause == nil {
			ran++
		}
		return 0
	}, func(*task) int64 { return 0 }, func(*task) {}, func(int64) {})
	s.mu.Lock() // nothing starts while they are queued
	for _, x := range archiveTasks(n) {
		s.tasks[x.key] = x
		s.enqueue(x)
	}
	for i := range n / 2 {
		s.endLocked(s.tasks[key{uint64(2*i + 1), llapi.FID{Seq: 1, OID: uint32(2*i + 1)}}], errCanceled)
	}
	s.dispatch()
	s.mu.Unlock()
	<-s.idle()
	if ran != n/2 {
		t.Errorf("%d tasks ran, want %d", ran, n/2)
	}
}

// TestMemoryOfTasks is told by the thousand, and to its end.
func TestMemoryOfTasks(t *testing.T) {
	onStage(t, Limits{Archives: 16, Restores: 4, Removes: 4}, func(t *testing.T, st *stage) {
		st.submit(archiveTasks(2500), nil)
		st.finishAll()
		if want := []int64{2000 * taskMemory, 1000 * taskMemory, 0}; !slices.Equal(st.memory, want) {
			t.Errorf("told of %v bytes, want %v", st.memory, want)
		}
	})
}

func BenchmarkQueue(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				s := newScheduler(Limits{8, 8, 8}, func(context.Context, *task) time.Duration { return 0 }, func(*task) int64 { return 0 }, func(*task) {}, func(int64) {})
				s.submit(archiveTasks(n), nil)
				<-s.idle()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/task")
		})
	}
}
