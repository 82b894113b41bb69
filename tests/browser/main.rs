//! The reader's side as readers meet it: a real browser on the compiled program, with scripts and without, by mouse and by
//! keyboard. Headless Chromium does it, driven over WebDriver; where `chromedriver` is not installed these tests are
//! skipped, which is said once. What holds for every page alike (axe-core, the Nu HTML checker, narrow windows) is in
//! `tests/pages`.

#![allow(
    unreachable_pub,
    reason = "the modules of a test program have no other readers"
)]

mod browser;
mod desk;
mod desk_script;
mod desk_week;
mod passkeys;
mod story;
mod support;
mod test_app;
mod touch;
