//! Whether a record outside chunks is what its opcode says: its fields must fill it to the byte.
//!
//! A flipped bit in an opcode or a length would otherwise make one record swallow what follows, unnoticed. What has a
//! checksum of its own is checked, too.

use crate::record::{Fields, op, parse_json_metadata};
use crate::{Channel, Error, Result};

/// Checks the content of a record that is no chunk.
///
/// # Errors
/// `Checksum` if its layout is sound but its bytes are not; `Malformed` if it is no such record.
pub(crate) fn check_layout(opcode: u8, content: &[u8]) -> Result<()> {
    let mut fields = Fields::of(name_of(opcode), content);
    match opcode {
        op::HEADER => texts(&mut fields, 2)?,
        op::FOOTER => fixed(&mut fields, 20)?,
        op::SCHEMA => {
            fixed(&mut fields, 2)?;
            texts(&mut fields, 2)?;
            fields.sized()?;
        }
        op::CHANNEL => {
            fixed(&mut fields, 4)?;
            texts(&mut fields, 2)?;
            fields.sized()?;
        }
        op::MESSAGE_INDEX => {
            fixed(&mut fields, 2)?;
            entries(&mut fields, 16)?;
        }
        op::CHUNK_INDEX => {
            fixed(&mut fields, 32)?;
            entries(&mut fields, 10)?;
            fixed(&mut fields, 8)?;
            texts(&mut fields, 1)?;
            fixed(&mut fields, 16)?;
        }
        op::ATTACHMENT => return parse_attachment(content).map(|_| ()),
        op::ATTACHMENT_INDEX => {
            fixed(&mut fields, 40)?;
            texts(&mut fields, 2)?;
        }
        op::STATISTICS => {
            fixed(&mut fields, 42)?;
            entries(&mut fields, 10)?;
        }
        op::METADATA => return parse_json_metadata(content).map(|_| ()),
        op::METADATA_INDEX => {
            fixed(&mut fields, 16)?;
            texts(&mut fields, 1)?;
        }
        op::SUMMARY_OFFSET => fixed(&mut fields, 17)?,
        op::DATA_END => fixed(&mut fields, 4)?,
        _ => return Err(fields.malformed(format!("opcode {opcode:#04x} outside a chunk"))),
    }
    fields.end()
}

/// Numbers of so many bytes together.
fn fixed(fields: &mut Fields<'_>, bytes: usize) -> Result<()> {
    fields.take(bytes).map(|_| ())
}

fn texts(fields: &mut Fields<'_>, count: usize) -> Result<()> {
    (0..count).try_for_each(|_| fields.text().map(|_| ()))
}

/// An array or map: its length in bytes, then entries of one size.
fn entries(fields: &mut Fields<'_>, entry_bytes: usize) -> Result<()> {
    if fields.sized()?.len() % entry_bytes == 0 {
        return Ok(());
    }
    Err(fields.malformed(format!("entries of {entry_bytes} bytes do not fill their array")))
}

/// Name and data of an attachment.
///
/// # Errors
/// `Malformed` or `Checksum`.
pub(crate) fn parse_attachment(content: &[u8]) -> Result<(&str, &[u8])> {
    let mut fields = Fields::of("attachment", content);
    let (_log_time, _create_time) = (fields.u64()?, fields.u64()?);
    let (name, _media_type, data_bytes) = (fields.text()?, fields.text()?, fields.u64()?);
    let data = fields.take(usize::try_from(data_bytes).unwrap_or(usize::MAX))?;
    let covered = content.len() - fields.rest().len();
    let expected = fields.u32()?;
    fields.end()?;
    let found = crc32fast::hash(&content[..covered]);
    if found != expected {
        return Err(Error::Checksum { what: "attachment", found, expected });
    }
    Ok((name, data))
}

/// The channel that a channel record declares, if it is one of the format and described as the format says.
///
/// # Errors
/// `Malformed`.
pub(crate) fn parse_channel(content: &[u8]) -> Result<Channel> {
    let mut fields = Fields::of("channel", content);
    let (id, schema, topic) = (fields.u16()?, fields.u16()?, fields.text()?);
    let Some(channel) = Channel::from_id(id) else {
        return Err(fields.malformed(format!("unknown channel {id}")));
    };
    if schema != channel.schema().id() || topic != channel.topic() {
        let topic = crate::error::short(topic);
        return Err(fields.malformed(format!("channel {id} is {topic:?} with schema {schema}")));
    }
    Ok(channel)
}

fn name_of(opcode: u8) -> &'static str {
    match opcode {
        op::HEADER => "header",
        op::FOOTER => "footer",
        op::SCHEMA => "schema",
        op::CHANNEL => "channel",
        op::MESSAGE_INDEX => "message index",
        op::CHUNK_INDEX => "chunk index",
        op::ATTACHMENT_INDEX => "attachment index",
        op::STATISTICS => "statistics",
        op::METADATA_INDEX => "metadata index",
        op::SUMMARY_OFFSET => "summary offset",
        op::DATA_END => "data end",
        _ => "record",
    }
}
