//! The allocator of a module: it only goes forward.
//!
//! An instance serves one batch and is dropped with all of its memory, so freeing piece by piece is work for nothing.
//! What was allocated last can still grow, shrink and be given back, for that costs nothing.
#![allow(unsafe_code, reason = "an allocator hands out raw memory")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::memory_grow;
use core::cell::Cell;
use core::ptr;

const PAGE: usize = 64 << 10;
/// Memory is asked for in pieces of so many pages, 4 MiB: each asking costs a call into the runtime.
const STEP: usize = 64;

/// Takes memory from the module's end.
#[derive(Debug)]
pub struct Bump {
    /// The first free byte.
    next: Cell<usize>,
    /// The byte after the last one that is ours.
    end: Cell<usize>,
}

// SAFETY: a module of `wasm32-unknown-unknown` has one thread.
unsafe impl Sync for Bump {}

impl Default for Bump {
    fn default() -> Self {
        Self::new()
    }
}

impl Bump {
    /// An allocator that has asked for no memory yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: Cell::new(0), end: Cell::new(0) }
    }

    /// Makes the bytes from `next` to `new_next` ours. False if there is no such memory.
    fn reach(&self, new_next: usize) -> bool {
        let missing = match new_next.checked_sub(self.end.get()) {
            None | Some(0) => return true,
            Some(bytes) => bytes.div_ceil(PAGE),
        };
        let grown = |pages: usize| match memory_grow::<0>(pages) {
            usize::MAX => None,
            before => Some((before * PAGE, before.saturating_add(pages).saturating_mul(PAGE))),
        };
        let Some((start, end)) = grown(missing.max(STEP)).or_else(|| grown(missing)) else {
            return false;
        };
        // Nobody else grows the memory, so after the first time this is where ours ended.
        if self.end.get() == start {
            self.end.set(end);
            return true;
        }
        self.next.set(start);
        self.end.set(end);
        false
    }
}

// SAFETY: blocks never overlap, for `next` only goes back over the block that was allocated last, and only when its
// owner gives it back or resizes it; `reach` sees to it that all of a block lies inside memory that is ours.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A second round, should memory turn out to be elsewhere: at the first allocation.
        for _ in 0..2 {
            let Some(at) = self.next.get().checked_next_multiple_of(layout.align()) else {
                break;
            };
            let Some(next) = at.checked_add(layout.size()) else {
                break;
            };
            if self.reach(next) {
                self.next.set(next);
                return ptr::with_exposed_provenance_mut(at);
            }
        }
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block.addr() + layout.size() == self.next.get() {
            self.next.set(block.addr());
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let is_last = block.addr() + layout.size() == self.next.get();
        if size <= layout.size() {
            if is_last {
                self.next.set(block.addr() + size);
            }
            return block;
        }
        if is_last
            && let Some(next) = block.addr().checked_add(size)
            && self.reach(next)
        {
            self.next.set(next);
            return block;
        }
        // SAFETY: the caller keeps the promises of `realloc`, which are those of `alloc` for the new size; the new
        // block overlaps no other, and the old one holds `layout.size()` bytes, fewer than the new.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size());
            }
            moved
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the promises of `alloc`; the block has `layout.size()` bytes.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                // Memory that was given back is not zero.
                ptr::write_bytes(block, 0, layout.size());
            }
            block
        }
    }
}
