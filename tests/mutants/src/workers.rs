//! Work that is shared out among the cores.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Result;

/// Calls `each` with every item, and with the number of the thread that it runs in, one thread for each core. Returns
/// what came of them, in no order.
pub fn share_out<T: Sync, R: Send>(
    items: &[T],
    each: impl Fn(usize, &T) -> Result<Option<R>> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let work = |worker: usize| -> Result<()> {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(one) = each(worker, item)? {
                found.lock().map_err(|_| "a worker panicked")?.push(one);
            }
        }
        Ok(())
    };
    let workers = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let work = &work;
        let all: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        all.into_iter()
            .try_for_each(|one| one.join().unwrap_or_else(|_| Err("a worker panicked".into())))
    })?;
    found.into_inner().map_err(|_| "a worker panicked".into())
}
