//! Plays peers over HTTP (BEP 3).
use crate::address::Sources;
use crate::play::Play;
use crate::target::Target;
use anyhow::Result;
#[derive(Debug)]
pub(crate) struct HttpClient;
impl HttpClient {
    pub(crate) fn open(_: &Target, _: &Sources, _: u16, _: bool, _: bool) -> Result<Self> {
        anyhow::bail!("not yet")
    }
    pub(crate) fn run(&mut self, _: &mut Play<'_>) -> Result<()> {
        Ok(())
    }
}
