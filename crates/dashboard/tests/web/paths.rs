//! Paths in the URLs of shared files.

use std::fs;

use crate::site::Site;

/// A name with everything that needs care in a URL.
const HARD_NAME: &str = "Übung 1 – a+b & c#d %41 (x) [y],'!;=@.bin";

const HARD_NAME_ENCODED: &str =
    "%C3%9Cbung%201%20%E2%80%93%20a%2Bb%20%26%20c%23d%20%2541%20%28x%29%20%5By%5D%2C%27%21%3B%3D%40.bin";

/// The same with lower case digits, and with what needs no escape as it is.
const HARD_NAME_RAW: &str = "%c3%9cbung%201%20%e2%80%93%20a+b%20&%20c%23d%20%2541%20(x)%20[y],'!;=@.bin";

#[tokio::test]
async fn names_are_decoded_byte_by_byte() {
    let site = Site::start().await;
    site.write(HARD_NAME, b"alone");
    site.write(&format!("{HARD_NAME} folder/日本 語/{HARD_NAME}"), b"in a folder");
    site.write(&format!("{HARD_NAME} folder/empty"), b"");
    let single = site.share(HARD_NAME);
    let folder = site.share(&format!("{HARD_NAME} folder"));
    for name in [HARD_NAME_ENCODED, HARD_NAME_RAW, &HARD_NAME_RAW.replace("(x)", "%28%78)")] {
        site.get(&format!("/seed/{single}/{name}"), &[]).await.is(200, b"alone");
        site.get(&format!("/download/{single}/{name}"), &[]).await.is(200, b"alone");
        for (prefix, japanese) in [
            (format!("/seed/{folder}/{name}%20folder"), "%E6%97%A5%e6%9c%ac%20%e8%aa%9e"),
            (format!("/download/{folder}"), "%e6%97%a5%E6%9C%AC%20%E8%AA%9E"),
        ] {
            let file = site.get(&format!("{prefix}/{japanese}/{name}"), &[]).await;
            file.is(200, b"in a folder").is_inert();
            assert!(file.header("content-disposition").contains("filename*=UTF-8''%C3%9Cbung%201%20%E2%80%93"));
            site.get(&format!("{prefix}/empty"), &[]).await.is(200, b"").is_inert();
            site.get(&format!("{prefix}/empty"), &["Range: bytes=0-"]).await.is(200, b"").is_inert();
        }
    }
    // Bytes beyond ASCII as they are.
    let mut connection = site.connect().await;
    let name = HARD_NAME_RAW.replace("%c3%9c", "Ü");
    connection.send("GET", format!("/seed/{single}/{name}").as_bytes(), &[]).await;
    connection.reply(true).await.unwrap().is(200, b"alone");
}

#[tokio::test]
async fn no_path_leads_elsewhere() {
    let site = Site::start().await;
    site.write("course/a/b.txt", b"shared");
    site.write("secret.txt", b"secret");
    fs::write(site.fixture.folder.path().join("outside.txt"), "secret").unwrap();
    let (hash, film) = (site.share("course"), site.fixture.film);
    site.get(&format!("/seed/{hash}/course/a/b.txt"), &[]).await.is(200, b"shared");
    site.get(&format!("/download/{hash}/a/b.txt"), &[]).await.is(200, b"shared");

    let mut connection = site.connect().await;
    let paths = [
        "",
        "/",
        "a",
        "a/",
        "a/b.txt/",
        "/a/b.txt",
        "a//b.txt",
        "a/b.txt//",
        "./a/b.txt",
        "a/./b.txt",
        "a/../a/b.txt",
        "%2e/a/b.txt",
        "a%2fb.txt",
        "a%2Fb.txt",
        "a%5cb.txt",
        "a\\b.txt",
        "a/b.txt%00",
        "%00",
        "a/b.txt%00.png",
        "A/b.txt",
        "a/b.tx",
        "a/b.txt.",
        "..",
        "../",
        "../secret.txt",
        "..%2fsecret.txt",
        "..%5csecret.txt",
        "..\\secret.txt",
        "%2e%2e/secret.txt",
        ".%2e/secret.txt",
        "..;/secret.txt",
        "a/..;/..;/secret.txt",
        "a/../../secret.txt",
        "../../outside.txt",
        "%2e%2e%2f%2e%2e%2foutside.txt",
        "%252e%252e/secret.txt",
        "..%c0%afsecret.txt",
        "..%ef%bc%8fsecret.txt",
        "....//secret.txt",
        "/etc/passwd",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "C:/",
        "C:%5c",
        "\\\\host\\share",
        "a/b.txt:stream",
        "a/b.txt::$DATA",
        "%ff%fe",
        "%",
        "%4",
        "%zz",
        "secret.txt",
        ".",
        "%2e",
        "a/b.txt;x",
        "*",
    ];
    for path in paths {
        for target in [format!("/seed/{hash}/course/{path}"), format!("/seed/{hash}/{path}")] {
            let reply = connection.ask("GET", &target, &["Accept: text/html"]).await.unwrap();
            assert_eq!(reply.status, 404, "{target}");
            assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8", "{target}");
            assert!(!reply.header("retry-after").is_empty() && reply.body.len() < 100, "{target}");
        }
        // The folder itself is a download of its own.
        if !path.is_empty() {
            let target = format!("/download/{hash}/{path}");
            let reply = connection.ask("GET", &target, &[]).await.unwrap();
            assert_eq!((reply.status, reply.header("content-disposition")), (404, ""), "{target}");
        }
    }
    // Another content, another torrent's name, a torrent that is not known, what is no hash.
    for target in [
        format!("/seed/{film}/course/a/b.txt"),
        format!("/seed/{film}/course"),
        format!("/seed/{hash}/film.mkv"),
        format!("/seed/{}/film.mkv", site.fixture.unknown),
        format!("/seed/{}/{}", site.fixture.hostile, "notes.txt"),
        format!("/seed/{film}"),
        format!("/seed/{film}0/film.mkv"),
        "/seed/film.mkv".to_owned(),
        "/seed/../film.mkv".to_owned(),
        "/seed/".to_owned(),
        format!("/download/{film}0"),
        format!("/download/{}", site.fixture.unknown),
        format!("/download/{film}/x"),
        "/download/..".to_owned(),
        "/download/0000000000000000".to_owned(),
    ] {
        let reply = connection.ask("GET", &target, &[]).await.unwrap();
        assert_eq!((reply.status, reply.header("content-disposition")), (404, ""), "{target}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        let reply = connection.ask(method, &format!("/seed/{film}/film.mkv"), &["Content-Length: 0"]).await.unwrap();
        assert_eq!(reply.status, 405, "{method}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_that_takes_the_place_of_something_leads_nowhere() {
    use std::os::unix::fs::symlink;

    let site = Site::start().await;
    site.write("course/a/b.txt", b"shared");
    let hash = site.share("course");
    let outside = site.fixture.folder.path().join("outside");
    fs::rename(site.path("course/a"), &outside).unwrap();
    symlink(&outside, site.path("course/a")).unwrap();
    site.get(&format!("/seed/{hash}/course/a/b.txt"), &[]).await.is(404, b"the file has changed since it was shared\n");
    assert_eq!(site.get(&format!("/download/{hash}/a/b.txt"), &[]).await.status, 409);
    fs::remove_file(site.path("course/a")).unwrap();
    fs::rename(&outside, site.path("course/a")).unwrap();
    site.get(&format!("/seed/{hash}/course/a/b.txt"), &[]).await.is(200, b"shared");
}
