// The pad: strokes of mouse, pen or finger, or a photo that is chosen, dropped or pasted. Whatever changes is sent as
// an image; strokes on white paper with a margin, as a photo has one.
const canvas = element.querySelector("canvas"), pen = canvas.getContext("2d");
const hint = element.querySelector(".hint"), input = element.querySelector("input");
const draws = props.draws, WIDTH = 22, MARGIN = 0.08, LARGEST = 30e6;
let strokes = [], photo = null, waiting = null, number = 0;

canvas.setAttribute("aria-label", draws ? "draw here" : "drop a photo here");
element.querySelector(".undo").hidden = !draws;
canvas.classList.toggle("draws", draws);

function paint() {
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    if (photo) {
        const scale = Math.min(canvas.width / photo.shown.width, canvas.height / photo.shown.height);
        const [width, height] = [photo.shown.width * scale, photo.shown.height * scale];
        pen.drawImage(photo.shown, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
    }
    pen.strokeStyle = pen.fillStyle = "#111";
    pen.lineWidth = WIDTH;
    pen.lineCap = pen.lineJoin = "round";
    for (const points of strokes) {
        pen.beginPath();
        pen.moveTo(...points[0]);
        points.forEach(point => pen.lineTo(...point));
        pen.lineTo(points.at(-1)[0] + 0.01, points.at(-1)[1]);  // a dot is a stroke too
        pen.stroke();
    }
    const empty = !strokes.length && !photo;
    hint.textContent = draws ? "draw here, or drop a photo" : "drop a photo here";
    hint.hidden = !empty;
}

function drawing() {
    if (!strokes.length) return "";
    const sheet = document.createElement("canvas"), margin = Math.round(MARGIN * canvas.width);
    sheet.width = canvas.width + 2 * margin;
    sheet.height = canvas.height + 2 * margin;
    const paper = sheet.getContext("2d");
    paper.fillStyle = "#fff";
    paper.fillRect(0, 0, sheet.width, sheet.height);
    paper.drawImage(canvas, margin, margin);
    return sheet.toDataURL("image/png");
}

function send(after = 300) {
    clearTimeout(waiting);
    number += 1;
    element.dataset.number = number;  // the answer has the number of the image that it belongs to
    waiting = setTimeout(() => {
        trigger("look", photo
            ? {number, image: photo.content, name: photo.name, drawn: false}
            : {number, image: drawing(), name: "", drawn: true});
    }, after);
}

function clear() {
    strokes = [];
    photo = null;
    input.value = "";
    paint();
}

function take(file) {
    if (!file) return;
    if (file.size > LARGEST) {
        clear();
        hint.textContent = `${file.name} has more than ${LARGEST / 1e6} MB; make it smaller first.`;
        return;
    }
    const reader = new FileReader();
    reader.onload = () => {
        const image = new Image(), content = reader.result;
        const show = shown => {
            clear();
            photo = {content, name: file.name, shown};
            paint();
            send(0);
        };
        image.onload = () => show(image);
        image.onerror = () => show(blank());
        image.src = content;
    };
    reader.readAsDataURL(file);
}

function blank() {  // for what this browser cannot show; the server may know it, as TIFF, or says what is wrong
    const sheet = document.createElement("canvas");
    sheet.width = sheet.height = 1;
    sheet.getContext("2d").fillStyle = "#eee";
    sheet.getContext("2d").fillRect(0, 0, 1, 1);
    return sheet;
}

function place(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
}

if (draws) {
    let points = null;
    canvas.addEventListener("pointerdown", event => {
        if (event.button || points) return;
        event.preventDefault();
        canvas.setPointerCapture(event.pointerId);
        if (photo) clear();
        clearTimeout(waiting);
        strokes.push(points = [place(event)]);
        paint();
    });
    canvas.addEventListener("pointermove", event => {
        if (!points) return;
        const passed = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
        for (const one of passed.length ? passed : [event]) points.push(place(one));
        paint();
    });
    const end = () => {
        if (points) send();
        points = null;
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
}
canvas.addEventListener("keydown", event => {
    if ((event.ctrlKey || event.metaKey) && event.key === "z") element.querySelector(".undo").click();
});
element.querySelector(".undo").addEventListener("click", () => {
    if (photo) clear(); else strokes.pop();
    paint();
    send(0);
});
element.querySelector(".clear").addEventListener("click", () => {
    clear();
    send(0);
});
element.querySelector(".photo").addEventListener("keydown", event => {
    if (event.key === "Enter" || event.key === " ") input.click();
});
input.addEventListener("change", () => take(input.files[0]));
element.addEventListener("dragover", event => event.preventDefault());
element.addEventListener("drop", event => {
    event.preventDefault();
    take(event.dataTransfer.files[0]);
});
document.addEventListener("paste", event => {
    take([...event.clipboardData.files].find(file => file.type.startsWith("image/")));
});
paint();
