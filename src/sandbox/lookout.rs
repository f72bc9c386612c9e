//! Seeing what supervisors write into the directories of their jobs: one inotify instance for all of them.
//!
//! An instance each would be simpler, but a user may hold 128 of them by default, and every other program of theirs takes
//! some: a machine with room for two hundred small jobs would follow half. Watches are plenty (65,536 at the least), and
//! each job needs one. A task hands the events out.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::engine::native::sys;
use super::error::SandboxError;
use super::supervisor::OUTPUT;
use crate::model::{Epoch, JobId};

/// Where the kernel gives no watch, files are looked at this often: quick enough for a person who reads along, and a
/// hundred jobs cost a per cent of a processor.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Between two reads while a job writes as fast as it can: no other job's line waits longer for it.
const BREATH: Duration = Duration::from_millis(1);

/// Looks at directories, on behalf of a whole room. Cheap to clone; what is opened from one and its clones shares one
/// inotify instance, which is had when it is first needed.
#[derive(Debug, Clone, Default)]
pub struct Lookout(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    instance: Option<Instance>,
    /// That there is none was said.
    complained: bool,
    /// What is looked at.
    seen: HashSet<(JobId, Epoch)>,
}

#[derive(Debug)]
struct Instance {
    inotify: Arc<Inotify>,
    seats: Arc<Mutex<Seats>>,
    /// Reads the events; ends with the instance.
    _reader: JoinSet<()>,
}

/// Who waits for which watch. The kernel gives one directory one watch, however often it is asked for.
type Seats = HashMap<WatchDescriptor, Vec<Arc<Seat>>>;

/// Where one pair of eyes waits.
#[derive(Debug, Default)]
struct Seat {
    wake: Notify,
    /// Something else than the output has changed.
    more: AtomicBool,
}

/// Eyes on the directory of a job or build. Opened before its supervisor is started, so that nothing is missed.
#[derive(Debug)]
pub(super) struct Eyes {
    /// `None`: the kernel gave no watch, so they open now and then.
    watch: Option<Watch>,
    whose: (JobId, Epoch),
    /// The instance lives as long as anybody looks through it.
    lookout: Lookout,
}

#[derive(Debug)]
struct Watch {
    seat: Arc<Seat>,
    number: WatchDescriptor,
    inotify: Arc<Inotify>,
    seats: Arc<Mutex<Seats>>,
}

impl Lookout {
    /// Looks at `dir` from now on, on behalf of the job or build `whose`. Must be called within the runtime.
    ///
    /// # Errors
    /// There is no such directory, or it may not be read. That the kernel has no watch left is none: then it is looked at
    /// now and then.
    pub(super) fn open(&self, dir: &Path, whose: (JobId, Epoch)) -> Result<Eyes, SandboxError> {
        let mut shared = lock(&self.0);
        let watch = match shared.watch(dir) {
            Ok(watch) => Some(watch),
            Err(e) if is_exhausted(&e) && dir.is_dir() => {
                if !std::mem::replace(&mut shared.complained, true) {
                    tracing::warn!(
                        error = %e,
                        "the kernel gives no more inotify watches, so jobs are looked at every 50 ms instead; \
                         raise fs.inotify.max_user_instances and fs.inotify.max_user_watches"
                    );
                }
                None
            }
            Err(e) => return Err(SandboxError::io("watch", dir)(e)),
        };
        shared.seen.insert(whose);
        Ok(Eyes { watch, whose, lookout: self.clone() })
    }

    /// Whether somebody looks at it, so that it is nobody's leftover, wherever its directory is.
    pub(super) fn sees(&self, job: JobId, epoch: Epoch) -> bool {
        lock(&self.0).seen.contains(&(job, epoch))
    }
}

impl Shared {
    fn watch(&mut self, dir: &Path) -> io::Result<Watch> {
        let instance = match &mut self.instance {
            Some(instance) => instance,
            none => none.insert(Instance::open()?),
        };
        let seat = Arc::<Seat>::default();
        // Held over both, so that no event comes between them that nobody waits for.
        let mut seats = lock(&instance.seats);
        let number = instance.inotify.add_watch(dir, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_MOVED_TO)?;
        seats.entry(number).or_default().push(Arc::clone(&seat));
        drop(seats);
        let (inotify, seats) = (Arc::clone(&instance.inotify), Arc::clone(&instance.seats));
        Ok(Watch { seat, number, inotify, seats })
    }
}

impl Instance {
    fn open() -> io::Result<Self> {
        let inotify = Arc::new(Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?);
        let ready = sys::watch(inotify.as_fd().try_clone_to_owned()?)?;
        let seats = Arc::<Mutex<Seats>>::default();
        let mut reader = JoinSet::new();
        reader.spawn(read(Arc::clone(&inotify), ready, Arc::clone(&seats)));
        Ok(Self { inotify, seats, _reader: reader })
    }
}

/// Hands events out for as long as it is let.
async fn read(inotify: Arc<Inotify>, ready: AsyncFd<OwnedFd>, seats: Arc<Mutex<Seats>>) {
    let mut pace = Pace { since: Instant::now(), reads: 0, busy: false };
    loop {
        let Ok(mut guard) = ready.readable().await else { return };
        match inotify.read_events() {
            Ok(events) => {
                hand_out(&events, &mut lock(&seats));
                if pace.is_busy(Instant::now()) {
                    tokio::time::sleep(BREATH).await;
                }
            }
            Err(Errno::EAGAIN) => guard.clear_ready(),
            Err(Errno::EINTR) => {}
            Err(error) => {
                // No kernel is known to do this; those who wait find out by their own clocks.
                tracing::error!(%error, "inotify cannot be read");
                return;
            }
        }
    }
}

/// Whether events come one by one faster than they are worth: the kernel makes one of those that wait and say the same.
struct Pace {
    since: Instant,
    reads: u32,
    busy: bool,
}

impl Pace {
    /// Counts a read of events.
    fn is_busy(&mut self, now: Instant) -> bool {
        /// A job's start or end is a dozen.
        const MANY: u32 = 20;
        /// As many as there are when a [`BREATH`] is taken after each.
        const STILL_MANY: u32 = 4;
        const WINDOW: Duration = Duration::from_millis(10);
        self.reads += 1;
        let past = now.duration_since(self.since);
        if past >= WINDOW {
            self.busy = WINDOW * self.reads >= past * if self.busy { STILL_MANY } else { MANY };
            (self.since, self.reads) = (now, 0);
        }
        self.busy
    }
}

/// What an event says is seen in the files themselves; it only tells whom to wake, and whether it is worth more than a
/// look at the length of the output.
fn hand_out(events: &[InotifyEvent], seats: &mut Seats) {
    for event in events {
        let wake = |seat: &Arc<Seat>| {
            if event.name.as_deref() != Some(OUTPUT.as_ref()) {
                seat.more.store(true, Ordering::Relaxed);
            }
            seat.wake.notify_one();
        };
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            seats.values().flatten().for_each(wake);
        } else if event.mask.contains(AddWatchFlags::IN_IGNORED) {
            // The directory is gone, and its number with it.
            seats.remove(&event.wd).iter().flatten().for_each(wake);
        } else {
            seats.get(&event.wd).into_iter().flatten().for_each(wake);
        }
    }
}

impl Eyes {
    /// Resolves when something has changed since the last time; `true` when it is more than that the output grew.
    /// Cancel-safe.
    pub(super) async fn changed(&self) -> bool {
        let Some(Watch { seat, .. }) = &self.watch else {
            tokio::time::sleep(LOOK_EVERY).await;
            return true;
        };
        seat.wake.notified().await;
        seat.more.swap(false, Ordering::Relaxed)
    }
}

impl Drop for Eyes {
    fn drop(&mut self) {
        lock(&self.lookout.0).seen.remove(&self.whose);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut seats = lock(&self.seats);
        let Some(here) = seats.get_mut(&self.number) else { return };
        here.retain(|seat| !Arc::ptr_eq(seat, &self.seat));
        if here.is_empty() {
            seats.remove(&self.number);
            // Gone by itself if the directory is.
            let _ = self.inotify.rm_watch(self.number);
        }
    }
}

/// This user holds as many instances, watches or files as it may, or the machine as it can.
fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOSPC | libc::ENOMEM))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use tempfile::TempDir;

    use super::*;

    /// Far more than an event or a look takes.
    const PATIENCE: Duration = Duration::from_secs(60);
    /// Tells a test that it was started again in a user namespace with limits of its own.
    const INSIDE: &str = "HOMIE_TEST_FEW_WATCHES";

    const WHOSE: (JobId, Epoch) = (JobId([0; 16]), Epoch(1));

    fn place() -> TempDir {
        tempfile::tempdir().expect("tempdir")
    }

    async fn more(eyes: &Eyes) -> bool {
        tokio::time::timeout(PATIENCE, eyes.changed()).await.expect("woken")
    }

    fn is_watched(eyes: &Eyes) -> bool {
        eyes.watch.is_some()
    }

    #[tokio::test]
    async fn more_directories_than_a_user_may_have_instances_are_seen_through_one() {
        let limit = fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").expect("a kernel with inotify");
        let limit: usize = limit.trim().parse().expect("a number");
        let lookout = Lookout::default();
        let places: Vec<TempDir> = (0..limit.min(1000) + 22).map(|_| place()).collect();
        let eyes: Vec<Eyes> = places.iter().map(|p| lookout.clone().open(p.path(), WHOSE).expect("opened")).collect();
        let instance = |eyes: &Eyes| Arc::as_ptr(&eyes.watch.as_ref().expect("watched").inotify);
        assert!(eyes.iter().all(|e| instance(e) == instance(&eyes[0])));
        for (place, eyes) in places.iter().zip(&eyes) {
            fs::write(place.path().join(OUTPUT), "x").expect("written");
            assert!(!more(eyes).await, "only output");
            fs::write(place.path().join("new"), "x").expect("written");
            fs::rename(place.path().join("new"), place.path().join("exit.json")).expect("renamed");
            // Writing and renaming may come as one change or as two.
            while !more(eyes).await {}
        }
    }

    #[tokio::test]
    async fn each_sees_its_own_and_those_who_look_at_the_same_all_see_it() {
        let (here, there) = (place(), place());
        let lookout = Lookout::default();
        let [first, second] = [0, 1].map(|_| lookout.open(here.path(), WHOSE).expect("opened"));
        let other = lookout.open(there.path(), WHOSE).expect("opened");
        let change = |dir: &TempDir| fs::write(dir.path().join("file"), "x").expect("written");
        change(&here);
        assert!(more(&first).await && more(&second).await);
        drop(first);
        change(&here);
        assert!(more(&second).await, "its watch was not taken away by another's end");
        change(&there);
        assert!(more(&other).await);
        let seats = Arc::clone(&other.watch.as_ref().expect("watched").seats);
        assert_eq!(lock(&seats).len(), 2);
        let path = there.path().to_owned();
        drop(there);
        assert!(more(&other).await, "a directory that goes is a change");
        drop((second, other));
        assert!(lock(&seats).is_empty());
        let gone = lookout.open(&path, WHOSE).expect_err("it is not there");
        assert!(gone.to_string().contains(&path.display().to_string()), "{gone}");
    }

    #[test]
    fn a_job_that_writes_without_end_is_looked_at_less_often_until_it_stops() {
        let start = Instant::now();
        let mut pace = Pace { since: start, reads: 0, busy: false };
        let mut at = |us: u64| pace.is_busy(start + Duration::from_micros(us));
        assert!(!(0..15).any(|n| at(n * 700)), "a job's start");
        assert_ne!((0..200).filter(|n| at(11_000 + n * 200)).count(), 0, "5,000 writes a second");
        assert!((1..20).all(|n| at(51_000 + n * 2_000)), "seen through the pauses");
        assert!(!at(200_000), "it was quiet in between");
    }

    /// A user namespace has limits of its own below those of the user, so nobody else's are used up.
    #[test]
    fn where_the_kernel_gives_no_more_watches_changes_are_seen_all_the_same() {
        if std::env::var_os(INSIDE).is_some() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
            return runtime.block_on(with_few_watches());
        }
        let name = "sandbox::lookout::tests::where_the_kernel_gives_no_more_watches_changes_are_seen_all_the_same";
        let limits =
            "cd /proc/sys/user && echo 1 > max_inotify_instances && echo 2 > max_inotify_watches && exec \"$@\"";
        let done = Command::new("unshare")
            .args(["--user", "--map-root-user", "sh", "-c", limits, "sh"])
            .arg(std::env::current_exe().expect("own program"))
            .args([name, "--exact", "--nocapture"])
            .env(INSIDE, "1")
            .output()
            .expect("unshare");
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{done:?}");
    }

    async fn with_few_watches() {
        let places: Vec<TempDir> = (0..4).map(|_| place()).collect();
        let (lookout, late) = (Lookout::default(), Lookout::default());
        let mut eyes: Vec<Eyes> = places[..3].iter().map(|p| lookout.open(p.path(), WHOSE).expect("opened")).collect();
        eyes.push(late.open(places[3].path(), WHOSE).expect("opened"));
        assert_eq!(eyes.iter().map(is_watched).collect::<Vec<_>>(), [true, true, false, false]);
        assert!(lock(&lookout.0).complained && lock(&late.0).complained);
        for (place, eyes) in places.iter().zip(&eyes) {
            fs::write(place.path().join("file"), "x").expect("written");
            assert!(more(eyes).await);
        }
        drop(eyes.swap_remove(0));
        assert!(
            is_watched(&lookout.open(places[0].path(), WHOSE).expect("opened")),
            "what was given back can be had again"
        );
        assert!(lookout.open(&places[0].path().join("missing"), WHOSE).is_err());
    }
}
