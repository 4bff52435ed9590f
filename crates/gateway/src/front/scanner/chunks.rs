//! A body in chunks: sizes, data, and the end. Neither extensions nor trailers, which no client of an AI provider sends.

use super::TOO_LARGE;
use crate::front::Refusal;

/// Enough for every size that is let through; more are zeros in front, to confuse somebody.
const MAX_DIGITS: u8 = 8;

const ODD_SIZE: Refusal = Refusal::bad("a chunk of the body has an odd size line");
const ODD_END: Refusal = Refusal::bad("a chunk of the body is not as long as it says");
const ODD_LAST: Refusal = Refusal::bad("the body has trailers, which this gateway does not take");

/// Follows one body.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks {
    at: At,
    total: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size { digits: u8, size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    LastCr,
    LastLf,
    End,
}

impl Default for At {
    fn default() -> Self {
        Self::Size { digits: 0, size: 0 }
    }
}

impl Chunks {
    pub(super) fn ended(&self) -> bool {
        self.at == At::End
    }

    /// How much of `input` belongs to the body.
    pub(super) fn scan(&mut self, input: &[u8], cap: u64) -> Result<usize, Refusal> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            match self.at {
                At::End => break,
                At::Data { left } => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(input.len() - at);
                    let left = left - taken as u64;
                    self.at = if left == 0 { At::DataCr } else { At::Data { left } };
                    at += taken;
                }
                _ => {
                    self.at = self.step(byte, cap)?;
                    at += 1;
                }
            }
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8, cap: u64) -> Result<At, Refusal> {
        match (self.at, byte) {
            (At::Size { digits, size }, b'\r') if digits > 0 => Ok(At::SizeLf { size }),
            (At::Size { digits, size }, _) if digits < MAX_DIGITS => {
                let digit = char::from(byte).to_digit(16).ok_or(ODD_SIZE)?;
                Ok(At::Size { digits: digits + 1, size: size * 16 + u64::from(digit) })
            }
            (At::SizeLf { size: 0 }, b'\n') => Ok(At::LastCr),
            (At::SizeLf { size }, b'\n') => {
                self.total += size;
                if self.total > cap { Err(TOO_LARGE) } else { Ok(At::Data { left: size }) }
            }
            (At::Size { .. } | At::SizeLf { .. }, _) => Err(ODD_SIZE),
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => Ok(At::default()),
            (At::LastCr, b'\r') => Ok(At::LastLf),
            (At::LastLf, b'\n') => Ok(At::End),
            (At::LastCr | At::LastLf, _) => Err(ODD_LAST),
            (At::Data { .. } | At::DataCr | At::DataLf | At::End, _) => Err(ODD_END),
        }
    }
}
