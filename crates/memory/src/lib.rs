//! Gives free memory back to the system. The one crate with unsafe code: it calls a function of the C library that no crate
//! wraps.

/// Asks the allocator to give back what is free. It walks through its heaps, some milliseconds for each hundred megabytes:
/// call it where nobody waits. Does nothing where the C library is not glibc, whose heaps keep what was freed in their midst.
///
/// ```
/// drop(vec![0_u8; 64 << 10]);
/// paceline_memory::give_back();
/// ```
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    // SAFETY: the function takes a number, locks the heaps it looks at, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
