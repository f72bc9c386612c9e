//! File lists that no honest sender makes: each is refused with its reason, before the receiver's side has seen a
//! manifest or written a byte.

use proptest::prelude::*;

use super::tests::{lie, offer};
use super::*;
use crate::model::{CHUNK_BYTES, CleanPath, FileEntry, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES};
use crate::wire::refusal::RefusalKind;

fn hash() -> String {
    Digest::of(b"x").to_string()
}

/// An entry whose path is this piece of JSON.
fn at(path: &str) -> String {
    format!(r#"{{"path":{path},"size":1,"hash":"{}"}}"#, hash())
}

/// An entry at a plain path, with these members after it.
fn with(members: &str) -> String {
    format!(r#"{{"path":"f",{members}}}"#)
}

fn sized(size: &str) -> String {
    with(&format!(r#""size":{size},"hash":"{}""#, hash()))
}

/// An entry with a chunk list of `count` and these lengths.
fn cut(size: u64, count: usize, lengths: &str) -> String {
    let chunks = vec![format!("{:?}", hash()); count].join(",");
    with(&format!(r#""size":{size},"hash":"{}","chunks":[{chunks}],"lengths":{lengths}"#, hash()))
}

/// Entries that are wrong alone and in any company.
fn bad_entries() -> Vec<String> {
    let mut paths: Vec<String> = [
        "",
        "/",
        "//",
        "/a",
        "//a",
        "/etc/passwd",
        "/..",
        "/../etc/shadow",
        ".",
        "..",
        "./",
        "../",
        "./a",
        "../a",
        "../../a",
        "../../../../../../etc/cron.d/x",
        "a/.",
        "a/..",
        "a/./b",
        "a/../b",
        "a/../../b",
        "a/b/..",
        "a/b/../..",
        "a/",
        "a/b/",
        "a//b",
        "a///b",
        "a/b//c",
        " /../x/..",
        "~/../../x/.",
    ]
    .map(|path| format!("{path:?}"))
    .into();
    // Control characters of both sets, in a name and in a directory; written as JSON must write them.
    for code in (0..0x20).chain(0x7f..0xa0) {
        paths.push(format!(r#""a\u{code:04x}b""#));
        paths.push(format!(r#""d\u{code:04x}/f""#));
    }
    for long in ["n".repeat(256), "ü".repeat(128), format!("d/{}", "n".repeat(300)), format!("{}/f", "n".repeat(256))]
    {
        paths.push(format!("{long:?}"));
    }
    paths.push(format!("{:?}", "d/".repeat(2048) + "f"));
    paths.push(format!("{:?}", "d/".repeat(64) + "f"));
    // No text at all, or text that is none.
    paths.extend(["null", "7", "true", "[]", "{}", r#"["a"]"#, r#""\ud800""#, r#""\x41""#, "'a'"].map(str::to_owned));

    let mut entries: Vec<String> = paths.iter().map(|path| at(path)).collect();
    for size in [
        "-1",
        "-0.5",
        "1.5",
        "1e400",
        r#""1""#,
        "null",
        "true",
        "[]",
        "0x10",
        "01",
        "18446744073709551615",
        "18446744073709551616",
        "9223372036854775808",
        "99999999999999999999999999",
    ] {
        entries.push(sized(size));
    }
    entries.push(sized(&(CHUNK_BYTES + 1).to_string()));
    entries.push(sized(&(10u64 << 40).to_string()));
    let (least, most) = (MIN_CHUNK_BYTES, MAX_CHUNK_BYTES);
    for (size, count, lengths) in [
        (least, 0, format!("[{least}]")),
        (least, 2, format!("[{least}]")),
        (2 * least, 1, format!("[{least},{least}]")),
        (2 * least + 1, 2, format!("[{least},{least}]")),
        (2 * least - 1, 2, format!("[{least},{least}]")),
        (least, 2, format!("[{least},0]")),
        (least, 2, format!("[0,{least}]")),
        (least + 1, 2, format!("[1,{least}]")),
        (most + 1, 1, format!("[{}]", most + 1)),
        (most, 1, "[4294967296]".into()),
        (0, 1, "[0]".into()),
        (0, 2, "[4294967295,1]".into()),
        (least, 1, "[-1]".into()),
        (least, 1, "[1.5]".into()),
        (least, 1, "[null]".into()),
        (least, 1, "7".into()),
        (least, 1, "{}".into()),
        (least, 1, r#"["65536"]"#.into()),
        // A terabyte in a chunk list of two.
        (1 << 40, 2, format!("[{most},{most}]")),
        (2 * CHUNK_BYTES, 1, "[]".into()),
        (2 * CHUNK_BYTES, 3, "[]".into()),
        (CHUNK_BYTES, 1, "[]".into()),
        (0, 1, "[]".into()),
    ] {
        entries.push(cut(size, count, &lengths));
    }
    for wrong in
        ["", "00", &hash()[1..], &format!("{}0", hash()), &"g".repeat(64), &"é".repeat(32), &hash().to_uppercase()]
    {
        entries.push(with(&format!(r#""size":1,"hash":{wrong:?}"#)));
        entries.push(with(&format!(
            r#""size":{},"hash":"{}","chunks":[{wrong:?},{wrong:?}]"#,
            CHUNK_BYTES + 1,
            hash()
        )));
    }
    for none in ["null", "7", "[]", "{}"] {
        entries.push(with(&format!(r#""size":1,"hash":{none}"#)));
    }
    // What an archive could carry and a manifest cannot: such members have no meaning here, and are not passed over.
    for more in [
        r#""link":"/etc/passwd""#,
        r#""target":"../../x""#,
        r#""hardlink":"g""#,
        r#""type":"symlink""#,
        r#""type":"char","rdev":[1,3]"#,
        r#""type":"fifo""#,
        r#""type":"dir""#,
        r#""mode":2541"#,
        r#""uid":0"#,
        r#""xattr":{"security.capability":"AQAAAg=="}"#,
        r#""sparse":[[0,10995116277760]]"#,
        r#""mtime":-1"#,
        r#""exec":1"#,
        r#""exec":"yes""#,
        r#""exec":null"#,
        // Another spelling of what is meant by leaving it out.
        r#""exec":false"#,
        r#""chunks":[]"#,
        r#""lengths":[]"#,
        r#""size":1"#,
        r#""path":"g""#,
    ] {
        entries.push(with(&format!(r#""size":1,"hash":"{}",{more}"#, hash())));
    }
    entries.push(with(r#""size":1"#));
    entries.push(format!(r#"{{"path":"f","hash":"{}"}}"#, hash()));
    entries.push(format!(r#"{{"size":1,"hash":"{}"}}"#, hash()));
    entries.extend(["null", "7", "\"f\"", "[]", "{}", "[[]]"].map(str::to_owned));
    entries
}

/// Whole lists that are wrong.
fn bad_lists() -> Vec<Vec<u8>> {
    let plain = |path: &str| at(&format!("{path:?}"));
    let listed = |paths: &[&str]| format!("[{}]", paths.iter().map(|p| plain(p)).collect::<Vec<_>>().join(","));
    let mut lists: Vec<Vec<u8>> = [
        "",
        " ",
        "null",
        "true",
        "7",
        "\"[]\"",
        "{}",
        "[",
        "]",
        "[[",
        "[]]",
        "[][]",
        "[],",
        "[ ]",
        " []",
        "[]\n",
        "[,]",
        "\u{feff}[]",
        "[]\0",
        "NaN",
        "{\"files\":[]}",
        "\"\\ud800\"",
        "//\n[]",
        "[/**/]",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    // Deeper than any stack.
    lists.push(vec![b'['; 200_000]);
    lists.push(b"{\"a\":".repeat(40_000));
    for paths in [
        &["a", "a"][..],
        &["a", "a/b"],
        &["a/b", "a/b/c"],
        &["a", "a-b", "a/c"],
        &["d/e", "d/e", "d/e"],
        // Not sorted, so not the form that the digest names.
        &["b", "a"],
        &["a", "c", "b"],
        &["ü", "a"],
        &["a/b", "a"],
    ] {
        lists.push(listed(paths).into_bytes());
    }
    // The same list, spelled differently.
    let good = listed(&["a", "b"]);
    lists.push(good.replace(':', ": ").into_bytes());
    lists.push(good.replace("\"a\"", "\"\\u0061\"").into_bytes());
    lists.push(good.replace("\"size\":1", "\"size\":1.0").into_bytes());
    lists.push(good.replace("},{", "},,{").into_bytes());
    lists.push(good.replace(']', ",]").into_bytes());
    lists.push(good.as_bytes()[..good.len() - 1].to_vec());
    // Bytes that are no UTF-8.
    for wrong in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"a\xff/..", b"\x80"] {
        let (head, tail) = good.split_once("a\"").expect("a path");
        lists.push([head.as_bytes(), wrong, b"\"", tail.as_bytes()].concat());
    }
    // Sizes that no disk holds together, though each could be a size.
    let half = cut(2 * MIN_CHUNK_BYTES, 2, &format!("[{0},{0}]", MIN_CHUNK_BYTES)).replace("\"f\"", "\"e\"");
    lists.push(format!("[{half},{}]", sized("9223372036854775807")).into_bytes());
    lists
}

#[tokio::test]
async fn more_than_two_hundred_hostile_lists_are_refused_and_nothing_is_written() {
    let mut lists = bad_lists();
    for entry in bad_entries() {
        lists.push(format!("[{entry}]").into_bytes());
        // In the middle of honest company.
        lists.push(format!("[{},{entry},{}]", at("\"a\""), at("\"z\"")).into_bytes());
    }
    assert!(lists.len() > 400, "{}", lists.len());
    for list in lists {
        let shown = || String::from_utf8_lossy(&list[..list.len().min(200)]).into_owned();
        let (error, sink) = lie(offer(&list), &list, b"content that nobody asked for").await;
        assert!(!sink.asked && sink.chunks.is_empty() && !sink.finished, "{}", shown());
        let refusal = error.into_refusal();
        // Where there is nothing to send there is no list either, and the sender hangs up.
        let kinds = if list.is_empty() { RefusalKind::Unreachable } else { RefusalKind::BadRequest };
        assert!(refusal.kind == kinds || refusal.kind == RefusalKind::BadRequest, "{}: {refusal}", shown());
        assert!(refusal.message.chars().all(|c| !c.is_control()), "{}: {refusal}", shown());
    }
}

fn honest() -> Vec<u8> {
    let entry = |path: &str, size: u64| FileEntry {
        path: CleanPath::new(path).expect("clean"),
        size,
        exec: path.len() == 3,
        hash: Digest::of(path.as_bytes()),
        chunks: if size > CHUNK_BYTES { vec![Digest([3; 32]); 2] } else { vec![] },
        lengths: if size > CHUNK_BYTES {
            vec![MIN_CHUNK_BYTES as u32, (size - MIN_CHUNK_BYTES) as u32]
        } else {
            vec![]
        },
    };
    let files = vec![entry("a/b", 7), entry("big", CHUNK_BYTES + 9), entry("ü.txt", 0)];
    Manifest::new(files).expect("valid").encode()
}

proptest! {
    /// However an honest list is spoilt: it is refused, or it is a list of plain files below one directory whose chunks
    /// make up their sizes.
    #[test]
    fn a_spoilt_list_is_refused_or_harmless(
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..6),
        piece in prop::sample::select(vec!["../", "/", "..", "\\u0000", "\"", "9", "0", "-", ",", "[", "]", "}"]),
    ) {
        let mut list = honest();
        for (place, byte, how) in hits {
            let at = place.index(list.len());
            match how {
                0 => list[at] = byte,
                1 => list[at] ^= 1 << (byte % 8),
                2 => drop(list.remove(at)),
                _ => drop(list.splice(at..at, piece.bytes())),
            }
        }
        if let Ok(manifest) = Manifest::decode(&list) {
            let mut total = 0u64;
            for file in manifest.files() {
                let path = std::path::Path::new(file.path.as_str());
                prop_assert!(path.components().all(|c| matches!(c, std::path::Component::Normal(_))));
                prop_assert!(!file.path.as_str().chars().any(char::is_control));
                prop_assert_eq!(file.chunks().map(|(_, len)| len).sum::<u64>(), file.size);
                prop_assert!(file.chunks().all(|(_, len)| (1..=MAX_CHUNK_BYTES).contains(&len)));
                total += file.size;
            }
            prop_assert_eq!(total, manifest.total_bytes());
        }
    }
}
